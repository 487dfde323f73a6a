using System.Globalization;
using Labeling.Benchmarks;
using Labeling.Benchmarks.Headline;
using Labeling.Benchmarks.Peers;
using Labeling.Training.Native;

switch (args)
{
    case ["child", "loading", var folder]:
        Console.WriteLine(LoadingBenchmark.Grown(folder).ToString(CultureInfo.InvariantCulture));
        return 0;
    case ["child", "head", var way, var tokens]:
        Console.WriteLine(HeadBenchmark.Grown(way, int.Parse(tokens, CultureInfo.InvariantCulture)));
        return 0;
    case ["child", "step"]:
        ContentionBenchmark.Serve();
        return 0;
    case ["child", "busy"]:
        ContentionBenchmark.Busy();
        return 0;
    case ["child", "llama-cpp", var folder, var file, var vocabulary]:
        LlamaCppPeer.Serve(folder, file, int.Parse(vocabulary, CultureInfo.InvariantCulture));
        return 0;
}
if (args is ["headline", .. var rest] && rest.Count(a => a != "--quick") <= 1 && rest.All(a => a == "--quick" || !a.StartsWith('-')))
{
    return await HeadlineBenchmark.RunAsync(rest);
}

var (words, options) = CommandLine.Parse(args, "--device", "--llama-cpp", "--llm-c");
var only = words.ElementAtOrDefault(1) ?? "";
try
{
    ComputeDevice.Use(options.GetValueOrDefault("--device", "cpu"));
}
catch (LibTorchException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}
IEnumerable<Measurement>? measurements = words.ElementAtOrDefault(0) switch
{
    "training" => TrainingBenchmark.Run(only).Concat(TrainingPeer.Run(only, options.GetValueOrDefault("--llm-c"))),
    "precision" => PrecisionBenchmark.Run(only),
    "generation" => GenerationBenchmark.Run(only).Concat(GenerationPeer.Run(only, options.GetValueOrDefault("--llama-cpp"))),
    "memory" => MemoryBenchmark.Run(only),
    "head" => HeadBenchmark.Run(),
    "loading" => LoadingBenchmark.Run(),
    "tokenizer" => TokenizerBenchmark.Run(),
    "ppo" => PpoBenchmark.Run(only),
    "contention" => ContentionBenchmark.Run(only),
    _ => null,
};
if (measurements is null)
{
    Console.Error.WriteLine("""
        Measures the training engine against this machine's own limits and against other programs, taken in the same run. A second word keeps
        the cases whose name has it.

          dotnet run -c Release --project tests/Labeling.Benchmarks -- training [middle]     a step in both number types, the optimizer
                                                                       --llm-c FOLDER         and against llm.c, compiled from this checkout
          dotnet run -c Release --project tests/Labeling.Benchmarks -- precision [4x128]     loss curves in both number types
          dotnet run -c Release --project tests/Labeling.Benchmarks -- generation [starter]  decoding, sampling, and against llama.cpp, which npm
                                                                       --llama-cpp FOLDER     fetches unless its libraries are in this folder
          dotnet run -c Release --project tests/Labeling.Benchmarks -- memory [sft]          growth of every stage over 1,000 steps
          dotnet run -c Release --project tests/Labeling.Benchmarks -- head                  peak memory of the loss over a large vocabulary
          dotnet run -c Release --project tests/Labeling.Benchmarks -- loading               opening a model
          dotnet run -c Release --project tests/Labeling.Benchmarks -- tokenizer             learning a vocabulary
          dotnet run -c Release --project tests/Labeling.Benchmarks -- headline [FOLDER]     a small model trained with feedback against a base model of 100 times its
                                                                                             parameters; about 100 minutes, goes on where it stopped; --quick: a minute
          dotnet run -c Release --project tests/Labeling.Benchmarks -- ppo [starter]         where the time of a PPO step goes
          dotnet run -c Release --project tests/Labeling.Benchmarks -- contention [worker]   a step beside another busy process

        With --device cuda training, generation and precision run on a GPU.
        """);
    return 2;
}
Report.Print(words[0], measurements);
return 0;
