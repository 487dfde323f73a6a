namespace Labeling.Training.Ppo;

/// <summary>
/// A batch in the names of TRL and lm-human-preferences, so that curves can be laid over published ones. All means run over answers or over
/// their real tokens, never over padding.
/// </summary>
internal static class PpoMetrics
{
    /// <summary>Describes a batch.</summary>
    /// <param name="rollouts">The answers.</param>
    /// <param name="learned">What <see cref="PpoLearning.Learn"/> returned.</param>
    /// <param name="klCoefficient">Beta in this batch.</param>
    public static Dictionary<string, double> Describe(IReadOnlyList<Rollout> rollouts, Dictionary<string, double> learned, double klCoefficient)
    {
        var returns = rollouts.SelectMany(r => r.Returns).ToArray();
        var values = rollouts.SelectMany(r => r.Values).ToArray();
        var errors = rollouts.SelectMany(r => r.Returns.Zip(r.Values, (a, b) => a - b)).ToArray();
        var (returnMean, returnVariance) = PpoMath.MeanAndVariance(returns);
        var (valueMean, valueVariance) = PpoMath.MeanAndVariance(values);
        var nonScore = rollouts.Average(r => -klCoefficient * r.Kl);
        var metrics = new Dictionary<string, double>
        {
            ["objective/kl"] = rollouts.Average(r => r.Kl),
            ["objective/kl_coef"] = klCoefficient,
            ["objective/entropy"] = rollouts.Average(r => -r.LogProbs.Sum(p => (double)p)),
            ["objective/non_score_reward"] = nonScore,
            ["objective/scores"] = rollouts.Average(r => (double)r.Score),
            ["objective/model_scores"] = rollouts.Average(r => (double)r.ModelScore),
            ["objective/rlhf_reward"] = nonScore + rollouts.Average(r => (double)r.Score),
            ["ppo/returns/mean"] = returnMean,
            ["ppo/returns/var"] = returnVariance,
            ["ppo/val/mean"] = valueMean,
            ["ppo/val/var"] = valueVariance,
            ["ppo/val/var_explained"] = returnVariance > 0 ? 1 - (PpoMath.MeanAndVariance(errors).Variance / returnVariance) : 0,
            ["val/num_eos_tokens"] = rollouts.Count(r => r.Ended),
            ["completions/mean_length"] = rollouts.Average(r => (double)r.Response.Length),
            ["completions/min_length"] = rollouts.Min(r => r.Response.Length),
            ["completions/max_length"] = rollouts.Max(r => r.Response.Length),
            ["completions/clipped_ratio"] = rollouts.Average(r => r.Ended ? 0.0 : 1),
        };
        foreach (var (name, mean) in learned)
        {
            metrics[name] = mean;
        }
        return metrics;
    }
}
