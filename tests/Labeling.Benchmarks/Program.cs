using Labeling.Benchmarks;

switch (args)
{
    case ["training"]:
        Report.Print("training", TrainingBenchmark.Run());
        return 0;
    case ["generation"]:
        Report.Print("generation", GenerationBenchmark.Run());
        return 0;
    case ["tokenizer"]:
        Report.Print("tokenizer", TokenizerBenchmark.Run());
        return 0;
    default:
        Console.Error.WriteLine("""
            Measures the training engine against this machine's own limits, taken in the same run.

              dotnet run -c Release --project tests/Labeling.Benchmarks -- training
              dotnet run -c Release --project tests/Labeling.Benchmarks -- generation
              dotnet run -c Release --project tests/Labeling.Benchmarks -- tokenizer
            """);
        return 2;
}
