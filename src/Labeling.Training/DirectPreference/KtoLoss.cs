using static TorchSharp.torch;

namespace Labeling.Training.DirectPreference;

/// <summary>
/// The loss of Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv 2402.01306, eq. 7 and 8): mean of λ_y − v(x, y), with
/// v = λ_D·σ(β(r − z0)) for a wanted answer and λ_U·σ(β(z0 − r)) for an unwanted one; r = log π(y|x) − log π_ref(y|x).
/// </summary>
public static class KtoLoss
{
    /// <summary>
    /// The reference point z0 ≥ 0, an estimate of KL(π‖π_ref): the mean log-ratio of answers to other prompts, which nobody judged here. No gradient
    /// passes through it.
    /// </summary>
    /// <param name="mismatched">Log-ratios of mismatched pairs.</param>
    public static double ReferencePoint(IReadOnlyCollection<float> mismatched) => mismatched.Count == 0 ? 0 : Math.Max(0, mismatched.Average(r => (double)r));

    /// <summary>Scalar loss with gradients.</summary>
    /// <param name="logRatios">[answers]; carries gradients.</param>
    /// <param name="desirable">Whether each answer is wanted.</param>
    /// <param name="z0">Reference point, in nats.</param>
    /// <param name="beta">β.</param>
    /// <param name="desirableWeight">λ_D.</param>
    /// <param name="undesirableWeight">λ_U.</param>
    public static Tensor Compute(Tensor logRatios, IReadOnlyList<bool> desirable, double z0, double beta, double desirableWeight = 1, double undesirableWeight = 1)
    {
        using var signs = tensor(desirable.Select(d => d ? 1f : -1f).ToArray(), device: logRatios.device);
        using var weights = tensor(desirable.Select(d => (float)(d ? desirableWeight : undesirableWeight)).ToArray(), device: logRatios.device);
        return (weights * (1 - sigmoid(beta * signs * (logRatios - z0)))).mean();
    }
}
