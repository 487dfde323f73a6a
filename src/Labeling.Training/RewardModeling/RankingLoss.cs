using static TorchSharp.torch;

namespace Labeling.Training.RewardModeling;

/// <summary>One comparison of a ranking: indices of the better and the worse answer.</summary>
/// <param name="Better">Index of the preferred answer.</param>
/// <param name="Worse">Index of the other.</param>
/// <param name="Weight">1 / number of comparisons of this ranking; half of it for each direction of a tie that counts half.</param>
/// <param name="Margin">How much more the better answer has to score.</param>
/// <param name="Tie">One of the two directions of a tie.</param>
public readonly record struct RankedPair(int Better, int Worse, float Weight, float Margin = 0, bool Tie = false);

/// <summary>What is made of ties and of how strongly a person preferred.</summary>
/// <param name="Ties">
/// <c>drop</c>: ties teach nothing (InstructGPT). <c>half</c>: a tie is half a win in each direction. <c>margin</c>: Rao and Kupper's model (1967):
/// P(a before b) = σ(r_a − r_b − η), what is left of 1 is the probability of a tie.
/// </param>
/// <param name="TieMargin">η of <c>margin</c>.</param>
/// <param name="StrengthMargin">Margin between best and worst at strength 4, falling to 0 at strength 1 (Touvron et al. 2023, arXiv 2307.09288, section 3.2.2 and table 27).</param>
public sealed record ComparisonRules(string Ties = "drop", double TieMargin = 0.5, double StrengthMargin = 0);

/// <summary>
/// InstructGPT's reward model loss (arXiv 2203.02155, eq. 1): for a prompt with K ranked answers,
/// −1/pairs · Σ log σ(r_better − r_worse − margin) over all comparisons.
/// </summary>
public static class RankingLoss
{
    private static readonly ComparisonRules InstructGpt = new();

    /// <summary>All pairs of one ranking without its ties; <paramref name="offset"/> is added to the indices.</summary>
    public static List<RankedPair> Pairs(IReadOnlyList<int> ranks, int offset = 0) =>
        [.. Pairs(ranks, InstructGpt, null).Select(p => p with { Better = p.Better + offset, Worse = p.Worse + offset })];

    /// <summary>All comparisons of one ranking. A tie that counts stands in both directions.</summary>
    /// <param name="ranks">1 = best; equal = tie.</param>
    /// <param name="rules">What is made of ties and strength.</param>
    /// <param name="strength">How much better the best is than the worst, 1 to 4; null for unknown, which means no margin. Pairs nearer in rank get less of it.</param>
    public static List<RankedPair> Pairs(IReadOnlyList<int> ranks, ComparisonRules rules, int? strength)
    {
        var span = ranks.Max() - ranks.Min();
        var full = rules.StrengthMargin * ((strength ?? 1) - 1) / 3;
        var tieMargin = rules.Ties == "margin" ? rules.TieMargin : 0;
        var pairs = new List<RankedPair>();
        for (var a = 0; a < ranks.Count; a++)
        {
            for (var b = 0; b < ranks.Count; b++)
            {
                if (ranks[a] < ranks[b])
                {
                    pairs.Add(new RankedPair(a, b, 1, (float)(tieMargin + (full * (ranks[b] - ranks[a]) / span))));
                }
                else if (a != b && ranks[a] == ranks[b] && rules.Ties != "drop")
                {
                    // -log P(tie) of Rao and Kupper is the sum of both directions with the margin, and a constant without gradient.
                    pairs.Add(new RankedPair(a, b, rules.Ties == "half" ? 0.5f : 1, (float)tieMargin, Tie: true));
                }
            }
        }
        var weight = pairs.Count == 0 ? 0f : 1f / (float)Comparisons(pairs);
        return [.. pairs.Select(p => p with { Weight = p.Weight * weight })];
    }

    /// <summary>Number of comparisons, both directions of a tie counted as one.</summary>
    internal static int Comparisons(IReadOnlyList<RankedPair> pairs) => pairs.Sum(p => p.Tie ? 1 : 2) / 2;

    /// <summary>Loss over several rankings: each ranking counts the same, however many pairs it has.</summary>
    /// <param name="scores">[answers] scores of all answers of all rankings, or [answers, heads], over which the loss is averaged.</param>
    /// <param name="pairs">Pairs into <paramref name="scores"/>, weights summing to 1 within a ranking.</param>
    /// <param name="rankings">Number of rankings with at least one pair.</param>
    /// <returns>Scalar loss with gradients, and the differences r_better − r_worse of the shape [pairs] or [pairs, heads].</returns>
    public static (Tensor Loss, Tensor Margins) Compute(Tensor scores, IReadOnlyList<RankedPair> pairs, int rankings)
    {
        var heads = scores.dim() == 1 ? 1 : scores.shape[1];
        long[] shape = scores.dim() == 1 ? [pairs.Count] : [pairs.Count, 1];
        using var better = tensor(pairs.Select(p => (long)p.Better).ToArray(), device: scores.device);
        using var worse = tensor(pairs.Select(p => (long)p.Worse).ToArray(), device: scores.device);
        using var weights = tensor(pairs.Select(p => p.Weight / rankings / heads).ToArray(), shape, device: scores.device);
        var differences = scores.index_select(0, better) - scores.index_select(0, worse);
        var wanted = pairs.Any(p => p.Margin != 0) ? differences - tensor(pairs.Select(p => p.Margin).ToArray(), shape, device: scores.device) : differences;
        return (-(nn.functional.logsigmoid(wanted) * weights).sum(), differences.detach());
    }
}
