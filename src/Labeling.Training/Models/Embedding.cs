using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Models;

/// <summary>Rows of an embedding. Where the weight has a gradient already, as one that is the head's too has, theirs are added to its rows; libtorch adds a whole matrix of mostly zeros.</summary>
static class Embedding
{
    /// <summary>The rows of tokens.</summary>
    /// <param name="weight">[vocabulary, width].</param>
    /// <param name="ids">int64, of any shape.</param>
    /// <returns>[..., width].</returns>
    public static Tensor Rows(Tensor weight, Tensor ids)
    {
        using var scope = NewDisposeScope();
        Tensor flat, output;
        using (no_grad())
        {
            flat = ids.reshape(-1);
            output = weight.index_select(0, flat).view([.. ids.shape, weight.shape[1]]);
        }
        return AutogradFunction.Join([weight], output, (saved, gradient) =>
        {
            var rows = gradient.reshape(-1, weight.shape[1]);
            BFloat16Weight.Settle(weight);
            if (weight.grad is not { } sum) return [zeros_like(weight).index_add_(0, saved[0], rows, 1)];
            sum.index_add_(0, saved[0], rows, 1);
            return [null];
        }, flat).MoveToOuterDisposeScope();
    }
}
