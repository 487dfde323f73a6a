using Labeling.Training.Models;
using Labeling.Training.Optim;
using static TorchSharp.torch;

namespace Labeling.Benchmarks;

/// <summary>
/// One supervised step (forward, backward, clipped AdamW); efficiency is 6·N·tokens / time over the matmul limit of the same number
/// type. float32 and bfloat16 take turns; after every step the limit is measured for as long as it took, and of both the best counts.
/// </summary>
internal static class TrainingBenchmark
{
    private static readonly (string Name, int Vocabulary, int Hidden, int Layers, int Batch, int Time, int Turns)[] Cases =
    [
        ("starter 4x128, B64 T48", 512, 128, 4, 64, 48, 8),
        ("small 6x256, B16 T128", 4096, 256, 6, 16, 128, 4),
        ("middle 12x512, B8 T256", 8192, 512, 12, 8, 256, 3),
        ("GPT-2 12x768, B4 T64", 50257, 768, 12, 4, 64, 3),
    ];

    public static IEnumerable<Measurement> Run(string only)
    {
        foreach (var (name, vocabulary, hidden, layers, batch, time, turns) in Cases.Where(c => c.Name.Contains(only, StringComparison.OrdinalIgnoreCase)))
        {
            using var training = new TrainingStep(vocabulary, hidden, layers, batch, time);
            var model = training.Model;
            var best = new Dictionary<ScalarType, (double Milliseconds, double Limit)>();
            for (var turn = 0; turn <= turns; turn++)
            {
                foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
                {
                    model.ComputeType = type;
                    // The first turn compiles and allocates.
                    for (var i = 0; i < (turn == 0 ? 2 : 4); i++)
                    {
                        var milliseconds = Machine.Best(1, () => training.Run());
                        if (turn == 0) continue;
                        var limit = Machine.MatmulGflopsFor(milliseconds, type);
                        var before = best.GetValueOrDefault(type, (double.PositiveInfinity, 0));
                        best[type] = (Math.Min(milliseconds, before.Item1), Math.Max(limit, before.Item2));
                    }
                }
            }
            foreach (var (type, (milliseconds, limit)) in best)
            {
                var gflops = 6.0 * model.ParameterCount * batch * time / milliseconds / 1e6;
                yield return new($"{name}, {type}", milliseconds, batch * time / milliseconds * 1000, "tokens/s", gflops / limit, $"matmul {limit:0} GFLOP/s");
            }
            var speedUp = best[ScalarType.Float32].Milliseconds / best[ScalarType.BFloat16].Milliseconds;
            yield return new($"{name}, BFloat16 against Float32", best[ScalarType.BFloat16].Milliseconds, speedUp, "times as fast");
            yield return OptimizerStep(name, model, training.Optimizer);
        }
    }

    /// <summary>The update alone, against the time that 28 bytes per parameter take: weight, gradient and moments read, all but the gradient written.</summary>
    private static Measurement OptimizerStep(string name, CausalLm model, AdamW optimizer)
    {
        var (milliseconds, bandwidth) = (double.PositiveInfinity, 0.0);
        for (var turn = 0; turn < 5; turn++)
        {
            foreach (var parameter in model.Parameters.Values) parameter.grad = full_like(parameter, 1e-3).DetachFromDisposeScope();
            bandwidth = Math.Max(bandwidth, Machine.CopyGigabytesPerSecond());
            milliseconds = Math.Min(milliseconds, Machine.Best(1, () => optimizer.Step(1e-4)));
        }
        var floor = 28.0 * model.ParameterCount / bandwidth / 1e6;
        return new($"{name}, clipping and AdamW", milliseconds, model.ParameterCount / milliseconds / 1e3, "M parameters/s", floor / milliseconds, $"copy {bandwidth:0} GB/s");
    }
}
