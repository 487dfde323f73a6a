using static TorchSharp.torch;

namespace Labeling.Training.Models;

/// <summary>
/// The random zeros of one forward pass (Srivastava et al. 2014): drawn from a generator of its own with a seed of its own, so that a
/// resumed run draws what the uninterrupted one drew. A pass without one drops nothing: there is no mode to forget.
/// </summary>
/// <param name="residual">Share of each attention's and feed-forward's output that is dropped before it joins the residual stream (Vaswani et al. 2017, arXiv 1706.03762, section 5.4; GPT-2's resid_pdrop).</param>
/// <param name="seed">Seed of this pass.</param>
public sealed class Dropout(double residual, long seed) : IDisposable
{
    readonly Generator generator = new((ulong)seed);

    internal Tensor Residual(Tensor x) => Apply(x, residual);

    /// <summary>x with a share of its numbers set to 0 and the others scaled up to keep the mean.</summary>
    internal Tensor Apply(Tensor x, double share)
    {
        if (share == 0) return x;
        using var kept = empty(x.shape, x.dtype, CPU).bernoulli_(1 - share, generator).div_(1 - share).to(x.device);
        return x * kept;
    }

    /// <inheritdoc/>
    public void Dispose() => generator.Dispose();
}
