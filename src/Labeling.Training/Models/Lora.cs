using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Models;

/// <summary>An adapter that cannot be added to a model or read from a folder; the message names the module, file or field.</summary>
public sealed class LoraException(string message) : Exception(message);

/// <summary>What a low-rank adapter looks like, in PEFT's words (Hu et al. 2021, arXiv 2106.09685).</summary>
/// <param name="Rank">Rank r of the change of each weight.</param>
/// <param name="Alpha">The change is scaled by alpha / r.</param>
/// <param name="Dropout">Share of the adapter's input that is dropped in training.</param>
/// <param name="TargetModules">
/// Names of the modules to adapt, with commas between them, matched at the end as PEFT does (<c>q_proj,v_proj</c>); <c>all-linear</c> for every
/// projection; <c>default</c> for PEFT's choice for the family.
/// </param>
public sealed record LoraOptions(int Rank, double Alpha = 16, double Dropout = 0, string TargetModules = LoraOptions.AllLinear)
{
    /// <summary>The word for every projection.</summary>
    public const string AllLinear = "all-linear";

    /// <summary>Factor of the change: alpha / r.</summary>
    public double Scale => Alpha / Rank;

    /// <summary>The projections of a body that are adapted.</summary>
    /// <exception cref="LoraException">A name matches no module.</exception>
    internal List<Linear> Targets(string modelType, IEnumerable<Linear> linears)
    {
        var all = linears.ToList();
        if (TargetModules == AllLinear) return all;
        var names = TargetModules == "default" ? FamilyDefault(modelType) : TargetModules.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        bool Matches(Linear linear, string name) => linear.Name == name || linear.Name.EndsWith("." + name, StringComparison.Ordinal);
        var unknown = names.FirstOrDefault(name => !all.Any(linear => Matches(linear, name)));
        if (unknown is not null || names.Length == 0)
            throw new LoraException($"the module '{unknown ?? TargetModules}' is not a projection of {modelType}; those are {string.Join(", ", all.Select(l => l.Name[(l.Name.LastIndexOf('.') + 1)..]).Distinct())}, or write {AllLinear} or default.");
        return [.. all.Where(linear => names.Any(name => Matches(linear, name)))];
    }

    /// <summary>PEFT's targets where none are named.</summary>
    static string[] FamilyDefault(string modelType) => modelType switch
    {
        "gpt2" => ["c_attn"],
        "gpt_neox" or "bloom" => ["query_key_value"],
        _ => ["q_proj", "v_proj"],
    };
}

/// <summary>The trained change of one weight: scale · B·A, with A [rank, inputs] and B [outputs, rank]. B begins at 0, so step 0 is the base model.</summary>
sealed class LoraLayer(Linear target, Tensor a, Tensor b, LoraOptions options)
{
    public Linear Target => target;

    /// <summary>What is added to the projection's output for x [..., inputs]: [..., outputs].</summary>
    public Tensor Apply(Tensor x, Dropout? dropout) =>
        F.linear(F.linear(dropout is null ? x : dropout.Apply(x, options.Dropout), a.to_type(x.dtype)), b.to_type(x.dtype)) * options.Scale;

    /// <summary>What is added to the weight, in the weight's own layout.</summary>
    public Tensor Change()
    {
        var change = b.matmul(a).mul_(options.Scale);
        return target.Transposed ? change.t() : change;
    }
}
