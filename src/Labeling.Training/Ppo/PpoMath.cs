using static TorchSharp.torch;

namespace Labeling.Training.Ppo;

/// <summary>
/// The formulas of PPO for language models as pure functions. Tokens of all responses lie one after the other in flat arrays, without
/// padding, so every mean is a mean over real tokens.
/// </summary>
public static class PpoMath
{
    /// <summary>Log-ratios are cut here before exp(), so that one odd token cannot become infinity.</summary>
    private const float LargestLogRatio = 20f;

    /// <summary>k1 estimator of KL(π‖π_ref) for one sampled token: log π − log π_ref (Schulman 2020). Unbiased, may be negative.</summary>
    public static float K1(float logProb, float referenceLogProb) => logProb - referenceLogProb;

    /// <summary>k2 estimator: ½(log π − log π_ref)².</summary>
    public static float K2(float logProb, float referenceLogProb) => 0.5f * (logProb - referenceLogProb) * (logProb - referenceLogProb);

    /// <summary>k3 estimator: e^d − 1 − d with d = log π_ref − log π. Unbiased, never negative, less variance.</summary>
    public static float K3(float logProb, float referenceLogProb)
    {
        var d = Math.Clamp(referenceLogProb - logProb, -LargestLogRatio, LargestLogRatio);
        return MathF.Exp(d) - 1 - d;
    }

    /// <summary>
    /// Generalised advantage estimation over one response (Schulman et al. 2016, arXiv 1506.02438, eq. 16):
    /// δ_t = r_t + γV_{t+1} − V_t, A_t = δ_t + γλA_{t+1}; the value after the last token is 0.
    /// </summary>
    /// <param name="rewards">[time] reward of each token.</param>
    /// <param name="values">[time] value before each token.</param>
    /// <param name="gamma">Discount γ.</param>
    /// <param name="lambda">λ.</param>
    /// <param name="advantages">[time] receives A.</param>
    /// <param name="returns">[time] receives A + V.</param>
    public static void Gae(ReadOnlySpan<float> rewards, ReadOnlySpan<float> values, double gamma, double lambda, Span<float> advantages, Span<float> returns)
    {
        double next = 0;
        for (var t = rewards.Length - 1; t >= 0; t--)
        {
            var nextValue = t + 1 < values.Length ? values[t + 1] : 0f;
            next = rewards[t] + (gamma * nextValue) - values[t] + (gamma * lambda * next);
            advantages[t] = (float)next;
            returns[t] = (float)(next + values[t]);
        }
    }

    /// <summary>(x − μ)/√(var + 1e-8) over all tokens with the biased variance, as lm-human-preferences does; in place.</summary>
    /// <param name="values">Flat tokens.</param>
    /// <param name="shiftMean">False keeps the mean (used for rewards).</param>
    public static void Whiten(Span<float> values, bool shiftMean = true)
    {
        if (values.IsEmpty)
        {
            return;
        }
        var (mean, variance) = MeanAndVariance(values);
        var scale = 1 / Math.Sqrt(variance + 1e-8);
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (float)(((values[i] - mean) * scale) + (shiftMean ? 0 : mean));
        }
    }

    /// <summary>Mean and biased variance.</summary>
    public static (double Mean, double Variance) MeanAndVariance(ReadOnlySpan<float> values)
    {
        double sum = 0;
        foreach (var v in values)
        {
            sum += v;
        }
        var mean = sum / Math.Max(1, values.Length);
        double squares = 0;
        foreach (var v in values)
        {
            squares += (v - mean) * (v - mean);
        }
        return (mean, squares / Math.Max(1, values.Length));
    }

    /// <summary>
    /// Adaptive KL coefficient (Ziegler et al. 2019, arXiv 1909.08593, §2.2): e = clip(KL/target − 1, ±0.2), β ← β(1 + e·n/horizon).
    /// </summary>
    public static double AdaptKlCoefficient(double coefficient, double kl, double target, double horizon, int episodes) =>
        coefficient * (1 + (Math.Clamp((kl / target) - 1, -0.2, 0.2) * episodes / horizon));

    /// <summary>
    /// Clipped surrogate (Schulman et al. 2017, arXiv 1707.06347, eq. 7), to be minimised: mean max(−Aρ, −A·clip(ρ, 1±ε)), ρ = exp(new − old).
    /// </summary>
    /// <param name="logProbs">[tokens] log-probabilities under the policy being trained; carries gradients.</param>
    /// <param name="oldLogProbs">[tokens] under the policy that sampled.</param>
    /// <param name="advantages">[tokens].</param>
    /// <param name="clipRange">ε.</param>
    public static PolicyLossResult PolicyLoss(Tensor logProbs, Tensor oldLogProbs, Tensor advantages, double clipRange)
    {
        var logRatio = logProbs - oldLogProbs;
        var ratio = logRatio.clamp(-LargestLogRatio, LargestLogRatio).exp();
        var plain = -advantages * ratio;
        var clipped = -advantages * ratio.clamp(1 - clipRange, 1 + clipRange);
        var loss = maximum(plain, clipped).mean();
        using var stop = no_grad();
        return new PolicyLossResult(
            loss,
            0.5 * logRatio.detach().square().mean().item<float>(),
            clipped.detach().gt(plain.detach()).to(ScalarType.Float32).mean().item<float>(),
            ratio.detach().mean().item<float>(),
            (ratio.detach() - ratio.detach().mean()).square().mean().item<float>());
    }

    /// <summary>Clipped value loss: ½·mean max((V − R)², (clip(V, V_old ± ε) − R)²).</summary>
    /// <param name="values">[tokens] new values; carries gradients.</param>
    /// <param name="oldValues">[tokens] values at sampling time.</param>
    /// <param name="returns">[tokens] targets R.</param>
    /// <param name="clipRange">ε.</param>
    public static ValueLossResult ValueLoss(Tensor values, Tensor oldValues, Tensor returns, double clipRange)
    {
        var plain = (values - returns).square();
        var clipped = (maximum(minimum(values, oldValues + clipRange), oldValues - clipRange) - returns).square();
        var loss = 0.5 * maximum(plain, clipped).mean();
        using var stop = no_grad();
        return new ValueLossResult(
            loss,
            clipped.detach().gt(plain.detach()).to(ScalarType.Float32).mean().item<float>(),
            values.detach().mean().item<float>(),
            plain.detach().mean().item<float>());
    }
}

/// <summary>Policy loss and what people watch about it.</summary>
/// <param name="Loss">Scalar with gradients.</param>
/// <param name="ApproxKl">½·mean (log ρ)².</param>
/// <param name="ClipFraction">Share of tokens where the clip decides.</param>
/// <param name="Ratio">Mean ρ.</param>
/// <param name="RatioVariance">Biased variance of ρ.</param>
public sealed record PolicyLossResult(Tensor Loss, double ApproxKl, double ClipFraction, double Ratio, double RatioVariance);

/// <summary>Value loss and what people watch about it.</summary>
/// <param name="Loss">Scalar with gradients.</param>
/// <param name="ClipFraction">Share of tokens where the clip decides.</param>
/// <param name="Prediction">Mean V.</param>
/// <param name="Error">Mean (V − R)².</param>
public sealed record ValueLossResult(Tensor Loss, double ClipFraction, double Prediction, double Error);
