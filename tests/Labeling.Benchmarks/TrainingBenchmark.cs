using Labeling.Training.Models;
using Labeling.Training.Optim;
using static TorchSharp.torch;

namespace Labeling.Benchmarks;

/// <summary>
/// One supervised step (forward, backward, clipped AdamW); efficiency is 6·N·tokens / time over the matmul limit of the same number
/// type. The limit is measured before and after every step, together for twice as long as it takes, because a shared machine's speed changes within seconds:
/// only what stands side by side can be compared. float32 and bfloat16 take turns. Medians of all steps.
/// </summary>
internal static class TrainingBenchmark
{
    private static readonly (string Name, int Vocabulary, int Hidden, int Layers, int Batch, int Time, int Turns)[] Cases =
    [
        ("starter 4x128, B64 T48", 512, 128, 4, 64, 48, 8),
        ("small 6x256, B16 T128", 4096, 256, 6, 16, 128, 4),
        ("middle 12x512, B8 T256", 8192, 512, 12, 8, 256, 4),
        ("GPT-2 12x768, B4 T64", 50257, 768, 12, 4, 64, 4),
    ];

    public static IEnumerable<Measurement> Run(string only)
    {
        foreach (var (name, vocabulary, hidden, layers, batch, time, turns) in Cases.Where(c => c.Name.Contains(only, StringComparison.OrdinalIgnoreCase)))
        {
            using var training = new TrainingStep(vocabulary, hidden, layers, batch, time);
            var model = training.Model;
            var steps = new Dictionary<ScalarType, List<(double Milliseconds, double Limit)>> { [ScalarType.Float32] = [], [ScalarType.BFloat16] = [] };
            for (var turn = 0; turn <= turns; turn++)
            {
                foreach (var (type, seen) in steps)
                {
                    model.ComputeType = type;
                    // The first turn compiles and allocates.
                    if (turn == 0) training.Run();
                    var milliseconds = Machine.Best(1, () => training.Run());
                    if (turn == 0) continue;
                    var before = Machine.MatmulGflopsFor(milliseconds, type);
                    for (var i = 0; i < 4; i++)
                    {
                        milliseconds = Machine.Best(1, () => training.Run());
                        var after = Machine.MatmulGflopsFor(milliseconds, type);
                        seen.Add((milliseconds, (before + after) / 2));
                        before = after;
                    }
                }
            }
            foreach (var (type, seen) in steps)
            {
                var (milliseconds, limit) = (Machine.Median(seen.Select(s => s.Milliseconds)), Machine.Median(seen.Select(s => s.Limit)));
                var efficiency = Machine.Median(seen.Select(s => 6.0 * model.ParameterCount * batch * time / s.Milliseconds / 1e6 / s.Limit));
                yield return new($"{name}, {type}", milliseconds, batch * time / milliseconds * 1000, "tokens/s", efficiency, $"matmul {limit:0} GFLOP/s");
            }
            var (single, half) = (Machine.Median(steps[ScalarType.Float32].Select(s => s.Milliseconds)), Machine.Median(steps[ScalarType.BFloat16].Select(s => s.Milliseconds)));
            yield return new($"{name}, BFloat16 against Float32", half, single / half, "times as fast");
            yield return OptimizerStep(name, model, training.Optimizer);
        }
    }

    /// <summary>The update alone, against the time that 28 bytes per parameter take: weight, gradient and moments read, all but the gradient written.</summary>
    private static Measurement OptimizerStep(string name, CausalLm model, AdamW optimizer)
    {
        var (milliseconds, bandwidth) = (double.PositiveInfinity, 0.0);
        for (var turn = 0; turn < 12; turn++)
        {
            foreach (var parameter in model.Parameters.Values) parameter.grad = full_like(parameter, 1e-3).DetachFromDisposeScope();
            bandwidth = Math.Max(bandwidth, Machine.CopyGigabytesPerSecond());
            milliseconds = Math.Min(milliseconds, Machine.Best(1, () => optimizer.Step(1e-4)));
        }
        var floor = 28.0 * model.ParameterCount / bandwidth / 1e6;
        return new($"{name}, clipping and AdamW", milliseconds, model.ParameterCount / milliseconds / 1e3, "M parameters/s", floor / milliseconds, $"copy {bandwidth:0} GB/s");
    }
}
