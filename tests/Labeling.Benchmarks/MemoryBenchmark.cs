using Labeling.Training.Generation;
using Labeling.Training.Models;
using Labeling.Training.Optim;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Benchmarks;

/// <summary>Resident memory after step 1,000 against that after step 50, as the greatest of the ten steps up to there: lengths change with every step.</summary>
internal static class MemoryBenchmark
{
    private const int Early = 50;
    private const int Late = 1000;

    private static readonly (string Name, int Vocabulary, int Hidden, int Layers, int Batch, int Time, bool Generates)[] Cases =
    [
        ("starter 4x128, B16 T8-48", 512, 128, 4, 16, 48, false),
        ("starter 4x128, B16 T8-48, with answers sampled in every step", 512, 128, 4, 16, 48, true),
        ("small 6x256, B4 T8-64", 4096, 256, 6, 4, 64, false),
    ];

    public static IEnumerable<Measurement> Run(string only)
    {
        foreach (var (name, vocabulary, hidden, layers, batch, time, generates) in Cases.Where(c => c.Name.Contains(only, StringComparison.OrdinalIgnoreCase)))
        {
            using var model = CausalLm.New(ModelConfig.Gpt2(vocabulary, hidden, layers, hidden / 32, time + 8), seed: 1);
            using var optimizer = new AdamW(model.Parameters);
            var random = new Random(1);
            var (early, late, tensors) = (0.0, 0.0, 0L);
            var start = System.Diagnostics.Stopwatch.GetTimestamp();
            for (var step = 1; step <= Late; step++)
            {
                Step();
                if (step is > Early - 10 and <= Early) early = Math.Max(early, Machine.ResidentMegabytes());
                if (step == Early) tensors = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
                if (step > Late - 10) late = Math.Max(late, Machine.ResidentMegabytes());
            }
            var milliseconds = System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalMilliseconds / Late;
            yield return new($"{name}: growth from step {Early} to {Late}", milliseconds, 100 * (late / early - 1), "%", late / early, $"{early:0} MB at step {Early}");
            yield return new($"{name}: live tensors more", milliseconds, DisposeScopeManager.Statistics.ThreadTotalLiveCount - tensors, "tensors");

            void Step()
            {
                using var scope = NewDisposeScope();
                var (rows, length) = (random.Next(batch / 2, batch + 1), random.Next(8, time + 1));
                if (generates)
                {
                    var prompts = Enumerable.Range(0, rows).Select(_ => Enumerable.Range(0, random.Next(2, length)).Select(_ => random.Next(vocabulary)).ToArray()).ToArray();
                    BatchGenerator.Generate(model, prompts, [.. prompts.Select((_, i) => (ulong)i)], 8, endTokens: []);
                }
                var ids = randint(0, vocabulary, [rows, length]);
                var logits = model.Logits(model.Hidden(ids).narrow(1, 0, length - 1)).reshape(-1, vocabulary);
                nn.functional.cross_entropy(logits, ids.narrow(1, 1, length - 1).reshape(-1)).backward();
                optimizer.Step(1e-3);
            }
        }
    }
}
