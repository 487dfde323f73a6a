using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Labeling.Training.Native;

/// <summary>
/// What training in bfloat16 keeps beside a float32 weight: its numbers in bfloat16, which the optimizer writes in the same pass as the weight, and the
/// gradient as the product gave it, which the optimizer reads. libtorch would read and write six bytes a weight for each in passes of their own: a tenth
/// of a step with few tokens. The numbers are those of a conversion, to the bit.
/// </summary>
sealed class BFloat16Weight : IDisposable
{
    static readonly ConditionalWeakTable<Tensor, BFloat16Weight> Trained = [];

    readonly Tensor weight;
    Tensor? copy;
    long version;
    bool used;

    BFloat16Weight(Tensor weight) => this.weight = weight;

    /// <summary>Begins to keep them for a weight; for the optimizers that train it.</summary>
    public static BFloat16Weight Keep(Tensor weight) => Trained.GetValue(weight, w => new BFloat16Weight(w));

    /// <summary>The weight in bfloat16; not to be written to.</summary>
    public static Tensor Of(Tensor weight)
    {
        if (!Trained.TryGetValue(weight, out var kept) || TensorMemory.Version(weight) is not { } version) return weight.to_type(ScalarType.BFloat16);
        if (kept.copy is null || kept.version != version)
        {
            kept.Drop();
            (kept.copy, kept.version) = (weight.to_type(ScalarType.BFloat16).DetachFromDisposeScope(), version);
        }
        kept.used = true;
        return kept.copy.alias();
    }

    /// <summary>Keeps a product's gradient for the optimizer; where none is, or the weight has one already, it is returned for libtorch to add.</summary>
    /// <param name="weight">The weight.</param>
    /// <param name="gradient">In bfloat16, contiguous, of the weight's shape.</param>
    public static Tensor? Deliver(Tensor weight, Tensor gradient)
    {
        if (Trained.TryGetValue(weight, out var kept) && kept.Gradient is null && weight.grad is null)
        {
            kept.Gradient = gradient.DetachFromDisposeScope();
            return null;
        }
        Settle(weight);
        return gradient.to_type(weight.dtype);
    }

    /// <summary>Makes the weight's gradient what libtorch would have made it: for whoever reads it in the optimizer's place, or adds to it.</summary>
    public static void Settle(Tensor weight)
    {
        if (Trained.TryGetValue(weight, out var kept)) kept.Settle();
    }

    /// <summary>The same for the weight that this is of.</summary>
    public void Settle()
    {
        if (Take() is not { } gradient) return;
        using (gradient)
        {
            var wide = gradient.to_type(weight.dtype);
            if (weight.grad is { } sum) sum.add_(wide);
            else weight.grad = wide;
        }
    }

    /// <summary>To be called by whoever writes a weight's memory without libtorch.</summary>
    public static void Changed(Tensor weight)
    {
        if (Trained.TryGetValue(weight, out var kept)) kept.Drop();
    }

    /// <summary>What the last backward pass left; null for none.</summary>
    public Tensor? Gradient { get; private set; }

    /// <summary>The gradient, which is the caller's to release.</summary>
    public Tensor? Take()
    {
        var gradient = Gradient;
        Gradient = null;
        return gradient;
    }

    /// <summary>The copy, to be written together with the whole weight; null where nobody has read it since the last time.</summary>
    public Tensor? Target()
    {
        if (!used) Drop();
        used = false;
        return copy;
    }

    void Drop()
    {
        copy?.Dispose();
        copy = null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Drop();
        Take()?.Dispose();
        Trained.Remove(weight);
    }
}
