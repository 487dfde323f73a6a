using Labeling.Training.Data;
using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Benchmarks;

/// <summary>
/// Memory of the language-model head's loss and gradient, in processes of their own: chunk by chunk, as training takes it, the peak ends to
/// grow once there is more than one chunk; over all logits at once it grows with vocabulary times tokens.
/// </summary>
internal static class HeadBenchmark
{
    private const int Vocabulary = 50257;
    private const int Hidden = 256;

    public static IEnumerable<Measurement> Run()
    {
        foreach (var way in new[] { "chunked", "whole" })
        {
            foreach (var tokens in new[] { 256, 1024, 4096 })
            {
                using var child = Child.Same(["head", way, $"{tokens}"]);
                var numbers = child.ReadLine().Split(' ').Select(n => double.Parse(n, System.Globalization.CultureInfo.InvariantCulture)).ToArray();
                var logits = (double)Vocabulary * tokens * sizeof(float) / 1048576;
                yield return new($"vocabulary {Vocabulary}, {tokens} supervised tokens, {way}", numbers[1], numbers[0], "MB more at the peak", numbers[0] / logits, $"all logits: {logits:0} MB");
            }
        }
    }

    /// <summary>In a new process: by how many MB one loss with its gradient raises the most resident memory, and the milliseconds it took.</summary>
    public static string Grown(string way, int tokens)
    {
        using var model = CausalLm.New(ModelConfig.Gpt2(Vocabulary, Hidden, 1, 8, 16), seed: 1);
        using var hidden = rand(tokens, Hidden).requires_grad_(true);
        using var targets = randint(0, Vocabulary, [tokens]);
        var before = Machine.ResidentMegabytes();
        var milliseconds = Machine.Best(1, () =>
        {
            using var scope = NewDisposeScope();
            NextTokenLoss.Backward(model, hidden, targets, chunkLogits: way == "whole" ? long.MaxValue : NextTokenLoss.ChunkLogits);
        });
        return FormattableString.Invariant($"{Machine.PeakMegabytes() - before:R} {milliseconds:R}");
    }
}
