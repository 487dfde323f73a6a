using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Optim;

/// <summary>Settings of <see cref="AdamW"/>.</summary>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment; InstructGPT uses 0.95, PyTorch's default is 0.999.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
/// <param name="WeightDecay">Decoupled weight decay, applied to tensors of two and more dimensions.</param>
/// <param name="MaxGradientNorm">Gradients are scaled down to this global L2 norm; null or infinity for no clipping.</param>
/// <param name="DecayAll">Decay biases and norms too, as PyTorch does when not told otherwise.</param>
/// <param name="TensorFlowEpsilon">
/// Epsilon outside the bias correction, as TensorFlow 1 (and so OpenAI's early RLHF code) has it; PyTorch's form moves more in the first steps.
/// </param>
public sealed record AdamWOptions(double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8, double WeightDecay = 0.01, double? MaxGradientNorm = 1.0, bool DecayAll = false, bool TensorFlowEpsilon = false);

/// <summary>A gradient is not a number or infinite; nothing was changed. The message names the tensor.</summary>
public sealed class NonFiniteGradientException(string message) : Exception(message);

/// <summary>
/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101), PyTorch's formula, moments in float32, gradient clipping
/// included. One fused pass over the memory of each tensor: own code on the processor, libtorch's on a GPU.
/// </summary>
public sealed class AdamW : IDisposable
{
    // TorchScript reaches the fused kernel, which has no C# wrapper. An error in a script ends the process, so its text is constant.
    const string Script = """
        def global_norm(gradients: List[Tensor]) -> Tensor:
            return torch.linalg_vector_norm(torch.stack(torch._foreach_norm(gradients, 2)), 2)

        def update(parameters: List[Tensor], gradients: List[Tensor], first: List[Tensor], second: List[Tensor], steps: List[Tensor], settings: Tensor, scale: Tensor) -> int:
            s: List[float] = settings.tolist()
            torch._fused_adamw_(parameters, gradients, first, second, [], steps, lr=s[0], beta1=s[1], beta2=s[2], weight_decay=s[3], eps=s[4], amsgrad=False, maximize=False, grad_scale=scale, found_inf=None)
            return 0

        """;

    static readonly Lazy<jit.CompilationUnit> Compiled = new(() => jit.compile(Script));

    readonly List<Entry> entries = [];
    readonly List<AdamWKernel.Part> parts = [];
    readonly AdamWOptions options;
    readonly Tensor step = zeros([], ScalarType.Float32).DetachFromDisposeScope();
    readonly bool libtorch;

    /// <summary>Makes an optimizer with zero moments.</summary>
    /// <param name="parameters">Trainable float32 tensors by name, for example <see cref="Models.CausalLm.Parameters"/>.</param>
    /// <param name="options">Settings; null for the defaults.</param>
    public AdamW(IEnumerable<KeyValuePair<string, Tensor>> parameters, AdamWOptions? options = null) : this(parameters, options, libtorch: false)
    {
    }

    internal AdamW(IEnumerable<KeyValuePair<string, Tensor>> parameters, AdamWOptions? options, bool libtorch)
    {
        this.options = options ?? new AdamWOptions();
        foreach (var (name, parameter) in parameters)
        {
            if (parameter.dtype != ScalarType.Float32) throw new ArgumentException($"{name} is {parameter.dtype}; master weights must be float32.", nameof(parameters));
            Tensor Moment() => zeros(parameter.shape, ScalarType.Float32, parameter.device).DetachFromDisposeScope();
            entries.Add(new Entry(name, parameter, Moment(), Moment(), this.options.DecayAll || parameter.dim() >= 2));
        }
        this.libtorch = libtorch || entries.Any(e => e.Parameter.device_type != DeviceType.CPU);
        if (this.libtorch) return;
        foreach (var (i, entry) in entries.Index())
        {
            entry.Kept = BFloat16Weight.Keep(entry.Parameter);
            AdamWKernel.Cut(parts, i, entry.Parameter, entry.First, entry.Second, entry.Decayed ? this.options.WeightDecay : 0);
        }
    }

    /// <summary>Steps done.</summary>
    public long StepCount { get; private set; }

    /// <summary>
    /// The moments by name (<c>first/NAME</c>, <c>second/NAME</c>), live: save them with <see cref="StepCount"/>, copy saved ones
    /// back into them to resume exactly.
    /// </summary>
    public IEnumerable<KeyValuePair<string, Tensor>> State
    {
        get
        {
            foreach (var e in entries)
            {
                yield return new($"first/{e.Name}", e.First);
                yield return new($"second/{e.Name}", e.Second);
            }
        }
    }

    /// <summary>Continues after <paramref name="steps"/> steps; the moments are copied into <see cref="State"/> by the caller.</summary>
    /// <param name="steps">Steps done when the state was saved.</param>
    public void Resume(long steps)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(steps);
        StepCount = steps;
    }

    /// <summary>Clips the accumulated gradients, updates the parameters and drops the gradients. Parameters without a gradient stay as they are.</summary>
    /// <param name="learningRate">Learning rate of this step.</param>
    /// <returns>Global L2 norm of the gradients before clipping.</returns>
    /// <exception cref="NonFiniteGradientException">A gradient is NaN or infinite; neither parameters nor moments were changed.</exception>
    public double Step(double learningRate)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        if (!libtorch) Workers.Wake();
        var sources = new AdamWKernel.Source[entries.Count];
        var live = new List<(Entry Entry, Tensor Gradient)>(entries.Count);
        foreach (var (i, entry) in entries.Index())
        {
            var own = entry.Parameter.grad;
            if (own is not null) entry.Kept?.Settle();
            if ((entry.Kept?.Gradient ?? own) is not { } gradient) continue;
            if (!gradient.is_contiguous()) gradient = gradient.contiguous();
            live.Add((entry, gradient));
            if (!libtorch) sources[i] = new(TensorMemory.Address(gradient), gradient.dtype == ScalarType.BFloat16, entry.Kept?.Target() is { } copy ? TensorMemory.Address(copy) : 0);
        }
        if (live.Count == 0) return 0;
        var norm = libtorch ? Compiled.Value.invoke<Tensor>("global_norm", [live.Select(e => e.Gradient).ToArray()]).ToDouble() : AdamWKernel.Norm(parts, sources);
        if (!double.IsFinite(norm))
        {
            var culprit = live.FirstOrDefault(e => !e.Gradient.isfinite().all().ToBoolean());
            ZeroGradients();
            throw new NonFiniteGradientException(culprit.Entry is { } entry
                ? $"The gradient of {entry.Name} is not finite in step {StepCount + 1}."
                : $"The gradient norm overflows in step {StepCount + 1}.");
        }
        StepCount++;
        var excess = options.MaxGradientNorm is { } max ? Math.Max(1, (norm + 1e-6) / max) : 1;
        if (libtorch) UpdateWithLibtorch(live, learningRate, excess);
        else AdamWKernel.Update(parts, sources, new(learningRate, options.Beta1, options.Beta2, Epsilon(), StepCount, 1 / excess));
        ZeroGradients();
        NativeHeap.TrimWhenGrown();
        return norm;
    }

    void UpdateWithLibtorch(List<(Entry Entry, Tensor Gradient)> live, double learningRate, double excess)
    {
        step.fill_((float)StepCount);
        // The kernel divides by the scale.
        var scale = full([], excess, ScalarType.Float32);
        foreach (var group in live.GroupBy(e => e.Entry.Decayed))
        {
            var settings = tensor(new[] { learningRate, options.Beta1, options.Beta2, group.Key ? options.WeightDecay : 0, Epsilon() });
            _ = Compiled.Value.invoke("update",
                group.Select(e => e.Entry.Parameter).ToArray(), group.Select(e => e.Gradient).ToArray(),
                group.Select(e => e.Entry.First).ToArray(), group.Select(e => e.Entry.Second).ToArray(),
                group.Select(_ => step).ToArray(), settings, scale);
        }
    }

    /// <summary>Drops all gradients, for example of a step that is not to be taken.</summary>
    public void ZeroGradients()
    {
        foreach (var e in entries)
        {
            e.Kept?.Take()?.Dispose();
            e.Parameter.grad = null;
        }
    }

    /// <summary>TensorFlow's form equals PyTorch's with epsilon divided by the root of the second bias correction.</summary>
    double Epsilon() => options.TensorFlowEpsilon ? options.Epsilon / Math.Sqrt(1 - Math.Pow(options.Beta2, StepCount)) : options.Epsilon;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var e in entries)
        {
            e.First.Dispose();
            e.Second.Dispose();
            e.Kept?.Dispose();
        }
        step.Dispose();
    }

    sealed record Entry(string Name, Tensor Parameter, Tensor First, Tensor Second, bool Decayed)
    {
        public BFloat16Weight? Kept { get; set; }
    }
}
