using static TorchSharp.torch;

namespace Labeling.Training.Models;

/// <summary>
/// A low-rank adapter on some projections of a decoder: the base weights are frozen and two small matrices per projection are trained
/// (Hu et al. 2021, arXiv 2106.09685). Names are PEFT's.
/// </summary>
sealed class LoraAdapter : IDisposable
{
    /// <summary>What PEFT puts before the name of every module.</summary>
    public const string Prefix = "base_model.model.";

    readonly Weights weights = new();
    readonly List<LoraLayer> layers = [];

    LoraAdapter(LoraOptions options) => Options = options;

    public LoraOptions Options { get; }

    /// <summary>A and B of every adapted projection by PEFT's names.</summary>
    public IReadOnlyDictionary<string, Tensor> Parameters => weights.All;

    /// <summary>Whether a target keeps its weight as [in, out].</summary>
    public bool Transposed => layers.Exists(l => l.Target.Transposed);

    /// <summary>PEFT's target_modules: the last parts of the names where they mean these modules and no others, else whole names.</summary>
    public required IReadOnlyList<string> TargetModules { get; init; }

    /// <summary>A new adapter: A uniform in ±1/√inputs (PEFT's Kaiming initialisation), B zero.</summary>
    public static LoraAdapter New(Decoder body, string modelType, LoraOptions options, long seed)
    {
        using var generator = new Generator((ulong)seed);
        return Attach(body.Linears, options, options.Targets(modelType, body.Linears), (linear, name, shape) =>
        {
            var bound = 1 / Math.Sqrt(linear.Inputs);
            return name.EndsWith(".lora_B.weight", StringComparison.Ordinal) ? zeros(shape) : empty(shape, device: CPU).uniform_(-bound, bound, generator).to(get_default_device());
        });
    }

    /// <summary>An adapter whose matrices are copied from elsewhere.</summary>
    /// <param name="body">The decoder to adapt.</param>
    /// <param name="options">Rank and scale.</param>
    /// <param name="names">PEFT's names of all matrices.</param>
    /// <param name="copy">Fills the matrix of a name.</param>
    /// <exception cref="LoraException">A name belongs to no projection, or one of a pair is missing.</exception>
    public static LoraAdapter From(Decoder body, LoraOptions options, IReadOnlyCollection<string> names, Action<string, Tensor> copy)
    {
        var targets = body.Linears.Where(l => names.Contains(Name(l, 'A')) && names.Contains(Name(l, 'B'))).ToList();
        var expected = targets.SelectMany(l => new[] { Name(l, 'A'), Name(l, 'B') }).ToHashSet();
        if (names.FirstOrDefault(n => !expected.Contains(n)) is { } stray) throw new LoraException($"the matrix {stray} belongs to no projection of this model, or the other of its pair is missing.");
        if (targets.Count == 0) throw new LoraException("there are no matrices in it.");
        return Attach(body.Linears, options, targets, (_, name, shape) =>
        {
            var matrix = empty(shape);
            try
            {
                copy(name, matrix);
            }
            catch
            {
                matrix.Dispose();
                throw;
            }
            return matrix;
        });
    }

    static LoraAdapter Attach(IEnumerable<Linear> all, LoraOptions options, List<Linear> targets, Func<Linear, string, long[], Tensor> matrix)
    {
        if (all.Any(l => l.Lora is not null)) throw new LoraException("the model has an adapter already.");
        if (options.Rank < 1) throw new LoraException($"the rank is {options.Rank}; it must be at least 1.");
        using var noGrad = no_grad();
        static string Last(Linear linear) => linear.Name[(linear.Name.LastIndexOf('.') + 1)..];
        var ends = targets.Select(Last).Distinct().Order(StringComparer.Ordinal).ToList();
        var adapter = new LoraAdapter(options) { TargetModules = all.Count(l => ends.Contains(Last(l))) == targets.Count ? ends : [.. targets.Select(t => t.Name)] };
        try
        {
            foreach (var linear in targets)
            {
                Tensor Make(char letter, params long[] shape) => adapter.weights.Add(Name(linear, letter), matrix(linear, Name(linear, letter), shape));
                adapter.layers.Add(new LoraLayer(linear, Make('A', options.Rank, linear.Inputs), Make('B', linear.Outputs, options.Rank), options));
            }
        }
        catch
        {
            adapter.weights.Dispose();
            throw;
        }
        foreach (var layer in adapter.layers) layer.Target.Lora = layer;
        return adapter;
    }

    /// <summary>A model's weights with the adapter's change added; the changed ones are new tensors of the caller's dispose scope.</summary>
    public IReadOnlyDictionary<string, Tensor> Merged(IReadOnlyDictionary<string, Tensor> model)
    {
        using var noGrad = no_grad();
        var merged = new OrderedDictionary<string, Tensor>(model, StringComparer.Ordinal);
        foreach (var layer in layers) merged[layer.Target.Name + ".weight"] = layer.Target.Weight + layer.Change();
        return merged;
    }

    /// <summary>Adds the change to the weights themselves and takes the adapter off.</summary>
    public void MergeInto(IReadOnlyDictionary<string, Tensor> model)
    {
        using (no_grad())
        using (NewDisposeScope())
        {
            foreach (var layer in layers)
            {
                layer.Target.Weight.add_(layer.Change());
                layer.Target.Lora = null;
            }
        }
        foreach (var tensor in model.Values) tensor.requires_grad_(true);
        Dispose();
    }

    public void Dispose() => weights.Dispose();

    static string Name(Linear linear, char letter) => $"{Prefix}{linear.Name}.lora_{letter}.weight";
}
