using System.Globalization;
using System.Text.Json;

namespace Labeling.Benchmarks.Peers;

/// <summary>llama.cpp with a model file, in a process of its own: its threads and ours do not meet.</summary>
internal sealed class LlamaCppPeer(string folder, string file, int vocabulary) : IDisposable
{
    private readonly Child child = Child.Same(["llama-cpp", folder, file, $"{vocabulary}"]);

    /// <summary>One turn on the prompts of <see cref="GenerationBenchmark.Prompts"/>.</summary>
    public GenerationTurn Generate(int rows, int length, int count, bool exact = false) => JsonSerializer.Deserialize<GenerationTurn>(child.Ask($"{rows} {length} {count} {(exact ? 1 : 0)}"))!;

    /// <summary>Takes turns until the input ends; the first of every shape warms up.</summary>
    public static void Serve(string folder, string file, int vocabulary)
    {
        LlamaCpp.Load(folder);
        var model = LlamaCpp.LoadModel(file, LlamaCpp.DefaultModelParams());
        if (model == 0) throw new InvalidOperationException($"llama.cpp does not load {file}; its message stands above.");
        LlamaCppContext? context = null;
        (int, int, int, bool) shape = default;
        while (Console.ReadLine() is { } line)
        {
            var numbers = line.Split(' ').Select(n => int.Parse(n, CultureInfo.InvariantCulture)).ToArray();
            var (rows, length, count, exact) = (numbers[0], numbers[1], numbers[2], numbers[3] == 1);
            var prompts = GenerationBenchmark.Prompts(rows, length, vocabulary);
            if (shape != (rows, length, count, exact))
            {
                context?.Dispose();
                context = new LlamaCppContext(model, vocabulary, rows, length + count, exact);
                context.Generate(prompts, Math.Min(count, 2));
                shape = (rows, length, count, exact);
            }
            Console.WriteLine(JsonSerializer.Serialize(context!.Generate(prompts, count)));
        }
        context?.Dispose();
    }

    public void Dispose() => child.Dispose();
}
