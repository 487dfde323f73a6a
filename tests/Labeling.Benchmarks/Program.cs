using Labeling.Benchmarks;
using Labeling.Benchmarks.Headline;

var only = args.ElementAtOrDefault(1) ?? "";
if (args is ["loading", var folder])
{
    Console.WriteLine(LoadingBenchmark.Grown(folder).ToString(System.Globalization.CultureInfo.InvariantCulture));
    return 0;
}
if (args is ["headline", .. var rest] && rest.Count(a => a != "--quick") <= 1 && rest.All(a => a == "--quick" || !a.StartsWith('-')))
{
    return await HeadlineBenchmark.RunAsync(rest);
}
IEnumerable<Measurement>? measurements = args.ElementAtOrDefault(0) switch
{
    "training" => TrainingBenchmark.Run(only),
    "precision" => PrecisionBenchmark.Run(),
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
          dotnet run -c Release --project tests/Labeling.Benchmarks -- precision             loss curves in both number types
          dotnet run -c Release --project tests/Labeling.Benchmarks -- generation [starter]  decoding and sampling
          dotnet run -c Release --project tests/Labeling.Benchmarks -- memory [small]        growth over 1,000 steps
          dotnet run -c Release --project tests/Labeling.Benchmarks -- loading               opening a model
          dotnet run -c Release --project tests/Labeling.Benchmarks -- tokenizer             learning a vocabulary
          dotnet run -c Release --project tests/Labeling.Benchmarks -- headline [FOLDER]     a small model trained with feedback against a base model of 100 times its
                                                                                             parameters; about 100 minutes, goes on where it stopped; --quick: a minute
        """);
    return 2;
}
Report.Print(args[0], measurements);
return 0;
