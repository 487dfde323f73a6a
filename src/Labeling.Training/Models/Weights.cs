using Labeling.Training.Checkpoints;
using static TorchSharp.torch;

namespace Labeling.Training.Models;

/// <summary>The trainable tensors of a model under their Hugging Face names, in registration order; owns their memory.</summary>
sealed class Weights : IDisposable
{
    readonly OrderedDictionary<string, Tensor> tensors = new(StringComparer.Ordinal);

    public IReadOnlyDictionary<string, Tensor> All => tensors;

    public Tensor Add(string name, Tensor value)
    {
        var owned = value.DetachFromDisposeScope().requires_grad_(true);
        tensors.Add(name, owned);
        return owned;
    }

    /// <summary>A source that fills new weights from a seeded generator of its own, leaving the global one alone.</summary>
    public WeightSource Fresh(ModelConfig config, long seed)
    {
        var generator = new Generator((ulong)seed);
        return (name, shape, init) =>
        {
            using var noGrad = no_grad();
            var tensor = init switch
            {
                Init.Zeros => zeros(shape),
                Init.Ones => ones(shape),
                // The processor's generator, so that a seed means the same model on every device.
                _ => empty(shape, device: CPU).normal_(0, Deviation(config, shape, init), generator).to(get_default_device()),
            };
            return Add(name, tensor);
        };
    }

    /// <summary>A source that reads a checkpoint.</summary>
    public WeightSource From(HfWeights checkpoint) => (name, shape, _) =>
    {
        var tensor = empty(shape);
        try
        {
            checkpoint.CopyTo(name, tensor);
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
        return Add(name, tensor);
    };

    /// <summary>A source that copies another model's weights.</summary>
    public WeightSource CopyOf(IReadOnlyDictionary<string, Tensor> other) => (name, _, _) =>
    {
        using var noGrad = no_grad();
        return Add(name, other[name].detach().clone());
    };

    static double Deviation(ModelConfig config, long[] shape, Init init) => init switch
    {
        Init.Residual => config.InitializerRange / Math.Sqrt(2.0 * config.Layers),
        Init.Score => 1 / Math.Sqrt(shape[^1] + 1.0),
        _ => config.InitializerRange,
    };

    public void Dispose()
    {
        foreach (var tensor in tensors.Values) tensor.Dispose();
    }
}
