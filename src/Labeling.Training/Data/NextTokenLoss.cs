using Labeling.Training.Models;
using Labeling.Training.Native;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Data;

/// <summary>
/// Cross-entropy of the supervised tokens. The head runs only where a token is supervised, and only for as many rows at once as
/// give a chunk of logits; a chunk's backward pass follows its forward pass, so memory does not grow with vocabulary times tokens.
/// </summary>
internal static class NextTokenLoss
{
    /// <summary>Most logits at once, 64 MB of float32. Each chunk adds into the head's gradient once more, so chunks are large.</summary>
    public const long ChunkLogits = 16 << 20;

    /// <summary>Adds the gradients of the mean loss, times a weight, to the parameters.</summary>
    /// <param name="model">The model.</param>
    /// <param name="hidden">Hidden states of the model that predict the supervised tokens [supervised, hidden]; carries gradients.</param>
    /// <param name="targets">The supervised tokens, int64 [supervised].</param>
    /// <param name="weight">Factor of the gradients, for example the share of a micro-batch.</param>
    /// <param name="chunkLogits">Most logits at once.</param>
    /// <returns>The mean loss per supervised token, without the weight, and the share of them that are the model's first choice.</returns>
    public static (double Loss, double Accuracy) Backward(CausalLm model, Tensor hidden, Tensor targets, double weight = 1, long chunkLogits = ChunkLogits)
    {
        var (count, size) = (targets.shape[0], RowsOf(model, chunkLogits));
        var (loss, right) = (0.0, 0L);
        var gradients = new List<Tensor>();
        for (long from = 0; from < count; from += size)
        {
            using var scope = NewDisposeScope();
            var length = Math.Min(size, count - from);
            var part = count <= size ? hidden : hidden.narrow(0, from, length).detach().requires_grad_(true);
            var padding = ProductSizes.Padded(hidden.dtype, (int)length) - length;
            // Hidden states of zero have logits of zero, which are the right gradient for them too.
            var logits = model.HeadOutput(padding == 0 ? part : F.pad(part, [0, 0, 0, padding]));
            // The head needs its inputs for its backward pass, not its output: the gradient takes the place of the logits.
            var gradient = logits.detach();
            var (sum, choices) = CrossEntropy.Differentiate(gradient.narrow(0, 0, length), targets.narrow(0, from, length), weight / count);
            (loss, right) = (loss + sum, right + choices);
            AutogradFunction.RunBackward(logits, gradient);
            if (count > size) gradients.Add(part.grad!.MoveToOuterDisposeScope());
        }
        if (count > size) AutogradFunction.RunBackward(hidden, cat(gradients));
        return (loss / count, (double)right / count);
    }

    /// <summary>Loss of each supervised token, float32 [supervised], and the share that are the model's first choice; without gradients.</summary>
    public static (Tensor Losses, double Accuracy) Evaluate(CausalLm model, IReadOnlyList<Sequence> rows, int padId, bool accuracy = false, long chunkLogits = ChunkLogits)
    {
        using var frozen = no_grad();
        using var scope = NewDisposeScope();
        var hidden = TokenBatch.Hidden(model, rows, padId);
        var targets = TokenBatch.Targets(rows);
        var (count, size, right) = (targets.shape[0], RowsOf(model, chunkLogits), 0.0);
        var losses = new List<Tensor>();
        for (long from = 0; from < count; from += size)
        {
            using var inner = NewDisposeScope();
            var length = Math.Min(size, count - from);
            var (logits, target) = (model.Logits(hidden.narrow(0, from, length)), targets.narrow(0, from, length));
            losses.Add(F.cross_entropy(logits, target, reduction: nn.Reduction.None).MoveToOuterDisposeScope());
            if (accuracy) right += TokenBatch.Accuracy(logits, target) * length;
        }
        return (cat(losses).MoveToOuterDisposeScope(), right / count);
    }

    static long RowsOf(CausalLm model, long logits) => Math.Max(1, logits / model.Config.VocabularySize);
}
