using Labeling.Training.Runs;

namespace Labeling.Training.Ppo;

/// <summary>What must hold in every PPO run, whatever the data are.</summary>
internal static class PpoChecks
{
    /// <summary>How far the first minibatch's mean ratio may be from 1 by rounding alone.</summary>
    private const double RatioTolerance = 0.01;

    /// <summary>Largest ½·mean (log ρ)² by rounding alone.</summary>
    private const double ApproxKlTolerance = 1e-4;

    /// <summary>Mean difference of a token's log-probabilities, nats, by rounding alone.</summary>
    private const double SampledTolerance = 0.01;

    /// <summary>Divergences cannot be negative; an estimate below this is more than bad luck with a batch.</summary>
    private const double LowKl = -1;

    /// <summary>Batches in a row with such an estimate that no chance explains.</summary>
    private const int LowKlBatches = 5;

    /// <summary>Answers come from kernels of their own; what they were sampled with must be what the policy's forward pass gives them.</summary>
    /// <exception cref="SelfCheckException">The two differ by more than rounding on average.</exception>
    public static void SampledAlike(IReadOnlyList<Rollout> rollouts, int step)
    {
        var gap = rollouts.SelectMany(r => r.LogProbs.Zip(r.SampledLogProbs, (now, sampled) => Math.Abs((double)now - sampled))).DefaultIfEmpty().Average();
        if (!(gap <= SampledTolerance))
        {
            throw new SelfCheckException(FormattableString.Invariant(
                $"Step {step}: the log-probabilities that answers were sampled with are {gap:G3} nats per token from those of the policy's forward pass. This is a defect of the trainer, not of your data."));
        }
    }

    /// <summary>Before any learning the policy is the one that scored the answers: ratio 1, approximate KL 0, or the two were computed differently.</summary>
    /// <exception cref="SelfCheckException">They are not.</exception>
    public static void FirstMinibatch(double ratio, double approxKl, int step)
    {
        if (!(Math.Abs(ratio - 1) <= RatioTolerance && approxKl <= ApproxKlTolerance))
        {
            throw new SelfCheckException(FormattableString.Invariant(
                $"Step {step}: the first minibatch has ratio {ratio:F4} instead of 1 and approximate KL {approxKl:G3} instead of 0. Scoring and learning disagree about log-probabilities; this is a defect of the trainer, not of your data."));
        }
    }

    /// <summary>Counts batches in a row whose KL estimate is far below 0.</summary>
    /// <param name="kl">Mean over answers of the summed estimate, nats.</param>
    /// <param name="before">What this method returned for the batch before.</param>
    /// <param name="step">Number of the batch.</param>
    /// <param name="log">Receives a warning.</param>
    /// <exception cref="SelfCheckException">Too many in a row.</exception>
    public static int LowKlInARow(double kl, int before, int step, Action<string> log)
    {
        if (kl >= LowKl)
        {
            return 0;
        }
        var text = FormattableString.Invariant($"Step {step}: the KL estimate is {kl:F2}. It should not be far below 0; the policy and the reference may be scored differently from how answers are sampled.");
        if (before + 1 >= LowKlBatches)
        {
            throw new SelfCheckException($"{text} It was so in {LowKlBatches} batches in a row, which is no accident: the reward would pay the policy for it.");
        }
        log(text);
        return before + 1;
    }

    /// <summary>Everything PPO learns from is a number.</summary>
    /// <exception cref="NonFiniteException">Something is not; names it and the prompt.</exception>
    public static void AllFinite(IReadOnlyList<Rollout> rollouts, int step)
    {
        foreach (var r in rollouts)
        {
            var name = !r.LogProbs.All(float.IsFinite) ? "the policy's log-probabilities"
                : !r.ReferenceLogProbs.All(float.IsFinite) ? "the reference policy's log-probabilities"
                : !r.Values.All(float.IsFinite) ? "the value model's values"
                : !float.IsFinite(r.ModelScore) ? "the reward model's score" : null;
            if (name is not null)
            {
                throw new NonFiniteException($"Step {step}: {name} of prompt {r.Row.Id} are not finite. The last checkpoint before it stands.");
            }
        }
    }
}
