using Labeling.Training.RewardModeling;
using static TorchSharp.torch;

namespace Labeling.Training.DirectPreference;

/// <summary>
/// Losses of direct preference optimisation. Everything is told by log-ratios, log π(y|x) − log π_ref(y|x) of whole answers; β times the log-ratio is the
/// answer's implicit reward.
/// </summary>
public static class PreferenceLoss
{
    /// <summary>
    /// Loss over several rankings; each ranking counts the same, however many pairs it has. With Δ = log-ratio of the better − log-ratio of the worse
    /// answer and m the margin, both methods see h = Δ − m/β:
    /// dpo is −(1−ε)·log σ(βh) − ε·log σ(−βh) (Rafailov et al. 2023, arXiv 2305.18290, eq. 7; with ε > 0 conservative DPO, Mitchell 2023; with m > 0 DPO with an
    /// offset, Amini et al. 2024, arXiv 2402.10571, eq. 4); ipo is (h − 1/(2β))² (Azar et al. 2023, arXiv 2310.12036, eq. 17).
    /// </summary>
    /// <param name="logRatios">[answers] of all answers of all rankings; carries gradients.</param>
    /// <param name="pairs">Pairs into <paramref name="logRatios"/>, weights summing to 1 within a ranking.</param>
    /// <param name="margins">Margin of each pair, in units of reward.</param>
    /// <param name="rankings">Number of rankings the loss is the mean of.</param>
    /// <param name="beta">β.</param>
    /// <param name="loss">dpo or ipo.</param>
    /// <param name="labelSmoothing">ε, the share of pairs believed to be the wrong way round; dpo only.</param>
    /// <returns>Scalar loss with gradients.</returns>
    public static Tensor Compute(Tensor logRatios, IReadOnlyList<RankedPair> pairs, IReadOnlyList<float> margins, int rankings,
        double beta, string loss = "dpo", double labelSmoothing = 0)
    {
        using var better = tensor(pairs.Select(p => (long)p.Better).ToArray(), device: logRatios.device);
        using var worse = tensor(pairs.Select(p => (long)p.Worse).ToArray(), device: logRatios.device);
        using var weights = tensor(pairs.Select(p => p.Weight / rankings).ToArray(), device: logRatios.device);
        using var offsets = tensor(margins.ToArray(), device: logRatios.device);
        var logits = (beta * (logRatios.index_select(0, better) - logRatios.index_select(0, worse))) - offsets;
        var losses = loss == "ipo"
            ? (logits / beta - (1 / (2 * beta))).square()
            : -((1 - labelSmoothing) * nn.functional.logsigmoid(logits)) - (labelSmoothing * nn.functional.logsigmoid(-logits));
        return (losses * weights).sum();
    }

    /// <summary>
    /// Margins of a ranking's pairs from the strength a person gave: Llama 2's four levels (arXiv 2307.09288, table 27: 0, 1/3, 2/3, 1) between the best and the
    /// worst answer, and in proportion to the difference in rank between others.
    /// </summary>
    /// <param name="ranks">Rank of each answer.</param>
    /// <param name="pairs">Pairs into <paramref name="ranks"/>.</param>
    /// <param name="strength">1 to 4, or null for no margin.</param>
    /// <param name="largest">Margin at strength 4, in units of reward.</param>
    public static float[] Margins(IReadOnlyList<int> ranks, IReadOnlyList<RankedPair> pairs, int? strength, double largest)
    {
        var whole = largest * ((strength ?? 1) - 1) / 3;
        var span = Math.Max(1, ranks.Max() - ranks.Min());
        return [.. pairs.Select(p => (float)(whole * (ranks[p.Worse] - ranks[p.Better]) / span))];
    }
}
