using static TorchSharp.torch;

namespace Labeling.Training.GroupPolicy;

/// <summary>Advantages of the K answers to one prompt from their rewards alone, and GRPO's KL penalty.</summary>
public static class GroupMath
{
    /// <summary>Log-ratios are cut here before exp(), so that one odd token cannot become infinity.</summary>
    private const double LargestLogRatio = 20;

    /// <summary>
    /// GRPO (Shao et al. 2024, arXiv 2402.03300, §4.1.2): (r − mean)/(std + 1e-4) with the sample standard deviation; without the division that of
    /// Dr. GRPO (Liu et al. 2025, arXiv 2503.20783), which does not favour questions that are nearly always or nearly never answered well.
    /// </summary>
    /// <param name="rewards">Rewards of one prompt's answers, at least 2.</param>
    /// <param name="scale">Divide by the standard deviation.</param>
    public static float[] GroupRelative(IReadOnlyList<float> rewards, bool scale)
    {
        var (mean, deviation) = MeanAndDeviation(rewards);
        return [.. rewards.Select(r => (float)((r - mean) / (scale ? deviation + 1e-4 : 1)))];
    }

    /// <summary>REINFORCE leave-one-out (Kool et al. 2019; Ahmadian et al. 2024, arXiv 2402.14740, eq. 8): each reward minus the mean of the others.</summary>
    /// <param name="rewards">Rewards of one prompt's answers, at least 2.</param>
    public static float[] LeaveOneOut(IReadOnlyList<float> rewards)
    {
        var sum = rewards.Sum(r => (double)r);
        return [.. rewards.Select(r => (float)(r - ((sum - r) / (rewards.Count - 1))))];
    }

    /// <summary>Mean and sample standard deviation (n − 1).</summary>
    public static (double Mean, double Deviation) MeanAndDeviation(IReadOnlyList<float> values)
    {
        var mean = values.Average(v => (double)v);
        return (mean, Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / Math.Max(1, values.Count - 1)));
    }

    /// <summary>Mean over tokens of the k3 estimate of KL(π‖π_ref): e^d − 1 − d with d = log π_ref − log π (Schulman 2020). Scalar with gradients.</summary>
    /// <param name="logProbs">[tokens] under the policy being trained; carries gradients.</param>
    /// <param name="referenceLogProbs">[tokens] under the frozen reference.</param>
    public static Tensor KlPenalty(Tensor logProbs, Tensor referenceLogProbs)
    {
        var d = (referenceLogProbs - logProbs).clamp(-LargestLogRatio, LargestLogRatio);
        return (d.exp() - 1 - d).mean();
    }
}
