using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Models;

/// <summary>How a new weight is filled.</summary>
enum Init
{
    Zeros,
    Ones,
    /// <summary>Normal with the config's standard deviation.</summary>
    Normal,
    /// <summary>Normal, smaller by √(2·layers): projections that write into the residual stream (GPT-2).</summary>
    Residual,
    /// <summary>Normal with standard deviation 1/√(d+1): reward heads (Stiennon et al. 2020).</summary>
    Score,
}

/// <summary>Hands out the weights a model asks for: fresh ones or those of a checkpoint.</summary>
delegate Tensor WeightSource(string name, long[] shape, Init init);

/// <summary>An affine map. Conv1D weights (GPT-2) stay in their stored layout [in, out], so names, shapes and gradients are the checkpoint's.</summary>
sealed class Linear(string name, Tensor weight, Tensor? bias, bool transposed = false)
{
    /// <summary>Its module's name in transformers, for example <c>transformer.h.0.attn.c_attn</c>.</summary>
    public string Name => name;
    public Tensor Weight => weight;
    public Tensor? Bias => bias;
    public bool Transposed => transposed;
    public long Inputs => weight.shape[transposed ? 0 : 1];
    public long Outputs => weight.shape[transposed ? 1 : 0];
    /// <summary>A low-rank change of the weight that is trained in its place; null for none.</summary>
    public LoraLayer? Lora { get; set; }

    /// <summary>x·W + b in the number type of x; gradients arrive at the weights in theirs.</summary>
    public Tensor Apply(Tensor x, Dropout? dropout = null) => Apply(x, bias, dropout);

    /// <summary>x·W, where whatever follows adds the bias.</summary>
    public Tensor Product(Tensor x, Dropout? dropout = null) => Apply(x, null, dropout);

    Tensor Apply(Tensor x, Tensor? added, Dropout? dropout)
    {
        var result = Map(x, weight, added, transposed);
        return Lora is null ? result : result + Lora.Apply(x, dropout);
    }

    /// <summary>The weight with the change of an adapter in it.</summary>
    public Tensor Effective() => Lora is null ? weight.alias() : weight + Lora.Change();

    /// <summary>x·Wᵀ + b, or x·W + b where the weight is stored transposed, in the number type of x.</summary>
    /// <param name="x">[..., in].</param>
    /// <param name="weight">[out, in], or [in, out]; of any number type, which its gradient has too.</param>
    /// <param name="bias">[out], or null.</param>
    /// <param name="transposed">The weight is [in, out].</param>
    /// <returns>[..., out].</returns>
    public static Tensor Map(Tensor x, Tensor weight, Tensor? bias = null, bool transposed = false)
    {
        if (BFloat16Product.Serves(x)) return BiasedRows.Plus(BFloat16Product.Apply(x, weight, transposed), bias);
        var own = weight.to_type(x.dtype);
        return Rows(x, transposed ? own.t() : own, bias?.to_type(x.dtype));
    }

    /// <summary>
    /// x·Wᵀ + b for x of any number of dimensions, calculated in two: given three, libtorch adds the bias in a pass of its own, and takes a product
    /// per row where they do not follow each other in memory.
    /// </summary>
    /// <param name="x">[..., in].</param>
    /// <param name="weight">[out, in].</param>
    /// <param name="bias">[out], or null.</param>
    /// <returns>[..., out].</returns>
    public static Tensor Rows(Tensor x, Tensor weight, Tensor? bias = null) =>
        F.linear(x.reshape(-1, x.shape[^1]), weight, bias).view([.. x.shape[..^1], weight.shape[0]]);
}

/// <summary>Layer norm, or RMS norm where there is no bias (Zhang and Sennrich 2019, arXiv 1910.07467).</summary>
sealed class Norm(Tensor weight, Tensor? bias, double epsilon)
{
    readonly long[] shape = weight.shape;

    public Tensor Weight => weight;
    public Tensor? Bias => bias;
    public double Epsilon => epsilon;

    public Tensor Apply(Tensor x)
    {
        if (x.device_type == TorchSharp.DeviceType.CPU && x.dtype is ScalarType.Float32 or ScalarType.BFloat16) return NormRows.Apply(x, weight, bias, epsilon);
        if (bias is not null) return F.layer_norm(x, shape, weight, bias, epsilon);
        var wide = x.to_type(ScalarType.Float32);
        var scale = wide.square().mean([-1], keepdim: true).add_(epsilon).rsqrt_();
        return weight.to_type(x.dtype) * (wide * scale).to_type(x.dtype);
    }
}

/// <summary>One transformer block.</summary>
sealed class Block
{
    public required Norm AttentionNorm { get; init; }
    public required Norm FeedForwardNorm { get; init; }
    /// <summary>Query, key and value in one product; null where <see cref="Query"/>, <see cref="Key"/> and <see cref="Value"/> stand apart.</summary>
    public Linear? QueryKeyValue { get; init; }
    public Linear? Query { get; init; }
    public Linear? Key { get; init; }
    public Linear? Value { get; init; }
    public Norm? QueryNorm { get; init; }
    public Norm? KeyNorm { get; init; }
    public required Linear Output { get; init; }
    /// <summary>Gate of a gated feed-forward network (SwiGLU); null for a plain one.</summary>
    public Linear? Gate { get; init; }
    public required Linear Up { get; init; }
    public required Linear Down { get; init; }

    public IEnumerable<Linear> Linears => new[] { QueryKeyValue, Query, Key, Value, Output, Gate, Up, Down }.OfType<Linear>();
}
