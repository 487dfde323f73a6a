using Labeling.Benchmarks;

var only = args.ElementAtOrDefault(1) ?? "";
if (args is ["loading", var folder])
{
    Console.WriteLine(LoadingBenchmark.Grown(folder).ToString(System.Globalization.CultureInfo.InvariantCulture));
    return 0;
}
IEnumerable<Measurement>? measurements = args.ElementAtOrDefault(0) switch
{
    "training" => TrainingBenchmark.Run(only),
    "precision" => PrecisionBenchmark.Run(only),
    "generation" => GenerationBenchmark.Run(only),
    "memory" => MemoryBenchmark.Run(only),
    "loading" => LoadingBenchmark.Run(),
    "tokenizer" => TokenizerBenchmark.Run(),
    _ => null,
};
if (measurements is null)
{
    Console.Error.WriteLine("""
        Measures the training engine against this machine's own limits, taken in the same run. A second word keeps the cases whose name has it.

          dotnet run -c Release --project tests/Labeling.Benchmarks -- training [middle]     a step in both number types, the optimizer
          dotnet run -c Release --project tests/Labeling.Benchmarks -- precision [4x128]     loss curves in both number types
          dotnet run -c Release --project tests/Labeling.Benchmarks -- generation [starter]  decoding and sampling
          dotnet run -c Release --project tests/Labeling.Benchmarks -- memory [sft]          growth of every stage over 1,000 steps
          dotnet run -c Release --project tests/Labeling.Benchmarks -- loading               opening a model
          dotnet run -c Release --project tests/Labeling.Benchmarks -- tokenizer             learning a vocabulary
        """);
    return 2;
}
Report.Print(args[0], measurements);
return 0;
