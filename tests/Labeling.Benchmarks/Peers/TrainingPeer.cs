using Labeling.Training.Optim;
using static TorchSharp.torch;

namespace Labeling.Benchmarks.Peers;

/// <summary>
/// A step of GPT-2 124M, B4 T64, against llm.c's on the same weights and tokens, in turns; the best of the turns counts. That the losses
/// agree before and after a step shows that both do the same work.
/// </summary>
internal static class TrainingPeer
{
    private const string Name = "llm.c, GPT-2 12x768, B4 T64";
    private const double Tolerance = 2e-3;
    private const int Batch = 4;
    private const int Time = 64;
    private const int Turns = 3;

    public static IEnumerable<Measurement> Run(string only, string? folder)
    {
        if (!Name.Contains(only, StringComparison.OrdinalIgnoreCase)) yield break;
        if (folder is null || !File.Exists(Path.Combine(folder, "train_gpt2.c")))
        {
            Console.Error.WriteLine("llm.c is left out: name a checkout of its repository, with train_gpt2.c, by --llm-c FOLDER; gcc compiles it.");
            yield break;
        }
        // llm.c neither clips nor decays.
        using var ours = new TrainingStep(50257, 768, 12, Batch, Time, new AdamWOptions(WeightDecay: 0, MaxGradientNorm: null));
        using var peer = new LlmC(folder, ours.Model, ours.Tokens, Batch, Time);
        for (var step = 1; step <= 2; step++)
        {
            var (own, other) = (ours.Run(), peer.Step().Loss);
            if (!(Math.Abs(own - other) <= Tolerance)) throw new InvalidOperationException($"Step {step}: our loss is {own}, llm.c's {other}.");
        }
        var types = new[] { ScalarType.Float32, ScalarType.BFloat16 };
        var best = types.ToDictionary(type => type, _ => double.PositiveInfinity);
        var theirs = double.PositiveInfinity;
        for (var turn = 0; turn < Turns; turn++)
        {
            foreach (var type in types)
            {
                ours.Model.ComputeType = type;
                best[type] = Math.Min(best[type], Machine.Best(2, () => ours.Run()));
            }
            theirs = Math.Min(theirs, peer.Step().Milliseconds);
        }
        foreach (var type in types)
            yield return new($"{Name}, {type}", best[type], theirs / best[type], "times llm.c", null, $"llm.c (float32) {theirs:0} ms");
    }
}
