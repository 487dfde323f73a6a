using static TorchSharp.torch;

namespace Labeling.Training.RewardModeling;

/// <summary>The pairs of one ranking: indices of the better and the worse answer.</summary>
/// <param name="Better">Index of the preferred answer.</param>
/// <param name="Worse">Index of the other.</param>
/// <param name="Weight">1 / number of pairs of this ranking.</param>
public readonly record struct RankedPair(int Better, int Worse, float Weight);

/// <summary>
/// InstructGPT's reward model loss (arXiv 2203.02155, eq. 1): for a prompt with K ranked answers,
/// −1/pairs · Σ log σ(r_better − r_worse) over all pairs that are not ties.
/// </summary>
public static class RankingLoss
{
    /// <summary>All pairs of one ranking without its ties; <paramref name="offset"/> is added to the indices.</summary>
    public static List<RankedPair> Pairs(IReadOnlyList<int> ranks, int offset = 0)
    {
        var pairs = new List<RankedPair>();
        for (var a = 0; a < ranks.Count; a++)
        {
            for (var b = 0; b < ranks.Count; b++)
            {
                if (ranks[a] < ranks[b])
                {
                    pairs.Add(new RankedPair(offset + a, offset + b, 1));
                }
            }
        }
        var weight = pairs.Count == 0 ? 0f : 1f / pairs.Count;
        return [.. pairs.Select(p => p with { Weight = weight })];
    }

    /// <summary>Loss over several rankings: each ranking counts the same, however many pairs it has.</summary>
    /// <param name="scores">[answers] scores of all answers of all rankings.</param>
    /// <param name="pairs">Pairs into <paramref name="scores"/>, weights summing to 1 within a ranking.</param>
    /// <param name="rankings">Number of rankings with at least one pair.</param>
    /// <returns>Scalar loss with gradients, and the differences r_better − r_worse [pairs].</returns>
    public static (Tensor Loss, Tensor Margins) Compute(Tensor scores, IReadOnlyList<RankedPair> pairs, int rankings)
    {
        using var better = tensor(pairs.Select(p => (long)p.Better).ToArray(), device: scores.device);
        using var worse = tensor(pairs.Select(p => (long)p.Worse).ToArray(), device: scores.device);
        using var weights = tensor(pairs.Select(p => p.Weight / rankings).ToArray(), device: scores.device);
        var margins = scores.index_select(0, better) - scores.index_select(0, worse);
        return (-(nn.functional.logsigmoid(margins) * weights).sum(), margins.detach());
    }
}
