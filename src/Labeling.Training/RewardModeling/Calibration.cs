namespace Labeling.Training.RewardModeling;

/// <summary>A line of reliability.jsonl: comparisons of which the model is about equally sure.</summary>
/// <param name="Split">train or valid.</param>
/// <param name="From">Lowest confidence in the bin.</param>
/// <param name="To">Highest.</param>
/// <param name="Comparisons">How many; empty bins are left out.</param>
/// <param name="Confidence">Mean of σ(|r_a − r_b|), the probability the model gives to its own choice.</param>
/// <param name="Accuracy">Share of them in which the person chose the same.</param>
public sealed record ReliabilityBin(string Split, double From, double To, int Comparisons, double Confidence, double Accuracy);

/// <summary>Whether a reward model is as often right as it is sure: differences of scores read as log-odds, as the Bradley-Terry model has them.</summary>
public static class Calibration
{
    private const int Bins = 10;

    /// <summary>Reliability table over the confidences 0.5 to 1 in ten bins (Guo et al. 2017, arXiv 1706.04599).</summary>
    /// <param name="split">Name of the split.</param>
    /// <param name="differences">r_better − r_worse of each comparison without a tie.</param>
    public static List<ReliabilityBin> Table(string split, IEnumerable<double> differences) =>
        [.. differences.Select(d => (Confidence: 1 / (1 + Math.Exp(-Math.Abs(d))), Right: d > 0 ? 1.0 : 0.0))
            .GroupBy(x => Math.Min(Bins - 1, (int)((x.Confidence - 0.5) * 2 * Bins)))
            .OrderBy(bin => bin.Key)
            .Select(bin => new ReliabilityBin(split, Edge(bin.Key), Edge(bin.Key + 1), bin.Count(), bin.Average(x => x.Confidence), bin.Average(x => x.Right)))];

    /// <summary>Expected calibration error: mean |accuracy − confidence| over the bins, weighted by their comparisons.</summary>
    public static double Error(IReadOnlyList<ReliabilityBin> table) =>
        table.Sum(bin => bin.Comparisons * Math.Abs(bin.Accuracy - bin.Confidence)) / table.Sum(bin => bin.Comparisons);

    private static double Edge(int bin) => Math.Round(0.5 + (bin * 0.5 / Bins), 2);
}
