using Labeling.Benchmarks;

var only = args.ElementAtOrDefault(1) ?? "";
switch (args.ElementAtOrDefault(0))
{
    case "training":
        Report.Print("training", TrainingBenchmark.Run(only));
        return 0;
    case "generation":
        Report.Print("generation", GenerationBenchmark.Run(only));
        return 0;
    default:
        Console.Error.WriteLine("""
            Measures the training engine against this machine's own limits, taken in the same run. A second word keeps the cases whose name has it.

              dotnet run -c Release --project tests/Labeling.Benchmarks -- training [middle]
              dotnet run -c Release --project tests/Labeling.Benchmarks -- generation [starter]
            """);
        return 2;
}
