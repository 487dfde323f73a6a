using Labeling.Training.Data;
using Labeling.Training.Generation;
using Labeling.Training.Models;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.Ppo;

/// <summary>One sampled answer with everything PPO learns from; arrays are per answer token.</summary>
internal sealed class Rollout(PromptRow row, int[] prompt, Generated generated)
{
    public PromptRow Row => row;

    public int[] Response => generated.Tokens;

    /// <summary>The answer ends with an end token of its own.</summary>
    public bool Ended => generated.FinishReason == FinishReason.Stop;

    public Sequence Sequence { get; } = new([.. prompt, .. generated.Tokens], prompt.Length);

    /// <summary>Log-probabilities as the sampler had them.</summary>
    public float[] SampledLogProbs => generated.LogProbabilities;

    public float[] LogProbs { get; set; } = [];

    public float[] ReferenceLogProbs { get; set; } = [];

    public float[] Values { get; set; } = [];

    public float[] Rewards { get; set; } = [];

    public float[] Advantages { get; set; } = [];

    public float[] Returns { get; set; } = [];

    /// <summary>The reward model's own number for the whole answer.</summary>
    public float ModelScore { get; set; }

    /// <summary>What PPO is rewarded with: that number normalised, penalised and clipped.</summary>
    public float Score { get; set; }

    /// <summary>Sum over tokens of log π − log π_ref.</summary>
    public double Kl { get; set; }
}

/// <summary>What sampling and scoring answers depends on, whatever is learned from them.</summary>
internal interface IRolloutSettings
{
    double Temperature { get; }

    int MaxNewTokens { get; }

    double MissingEosPenalty { get; }

    double ScoreClip { get; }

    int NumMinibatches { get; }
}

/// <summary>Samples answers and looks at them with the policy, its reference, the reward model and, in PPO, the value model.</summary>
internal static class Rollouts
{
    /// <summary>Samples one answer per prompt; each has a seed of its own.</summary>
    public static List<Rollout> Sample(CausalLm policy, IReadOnlyList<(PromptRow Row, int[] Ids)> prompts, IRolloutSettings settings, int eosId, long seed, CancellationToken stop)
    {
        var seeds = Enumerable.Range(0, prompts.Count).Select(i => (ulong)Seeds.Derive(seed, i)).ToList();
        var generated = BatchGenerator.Generate(policy, [.. prompts.Select(p => p.Ids)], seeds, settings.MaxNewTokens,
            new SamplingOptions(settings.Temperature), [eosId, .. policy.Config.EosTokenIds], cancellation: stop);
        return [.. prompts.Zip(generated, (p, g) => new Rollout(p.Row, p.Ids, g))];
    }

    /// <summary>Fills log-probabilities of both policies, values (where there is a value model) and the reward model's scores, in chunks of similar length.</summary>
    public static void Look(IReadOnlyList<Rollout> rollouts, CausalLm policy, CausalLm reference, ValueModel? values, RewardModel reward, IRolloutSettings settings, int padId)
    {
        using var frozen = no_grad();
        var size = Math.Max(1, rollouts.Count / settings.NumMinibatches);
        foreach (var chunk in rollouts.OrderBy(r => r.Sequence.Ids.Length).Chunk(size))
        {
            using var scope = NewDisposeScope();
            var sequences = chunk.Select(r => r.Sequence).ToList();
            var targets = TokenBatch.Targets(sequences);
            var logProbs = Numbers(TokenBatch.LogProbs(TokenBatch.Logits(policy, sequences, padId), targets, settings.Temperature));
            var referenceLogProbs = Numbers(TokenBatch.LogProbs(TokenBatch.Logits(reference, sequences, padId), targets, settings.Temperature));
            var tokenValues = values is null ? [] : Numbers(TokenValues(values, sequences, padId));
            Judge(chunk, reward, padId);
            var at = 0;
            foreach (var rollout in chunk)
            {
                var span = at..(at += rollout.Response.Length);
                (rollout.LogProbs, rollout.ReferenceLogProbs, rollout.Values) = (logProbs[span], referenceLogProbs[span], values is null ? [] : tokenValues[span]);
            }
        }
    }

    /// <summary>Scores whole answers with the reward model at their last token.</summary>
    public static void Judge(IReadOnlyList<Rollout> rollouts, RewardModel reward, int padId)
    {
        using var frozen = no_grad();
        using var scope = NewDisposeScope();
        var rows = rollouts.Select(r => r.Sequence.Ids).ToList();
        foreach (var (rollout, score) in rollouts.Zip(Numbers(reward.Rewards(TokenBatch.Ids(rows, padId), TokenBatch.Mask(rows)))))
        {
            rollout.ModelScore = score;
        }
    }

    /// <summary>
    /// Turns the reward model's numbers into scores: normalised when asked for, the penalty of an answer without end subtracted, and cut on
    /// both sides at a limit above 0.
    /// </summary>
    public static void Score(IReadOnlyList<Rollout> rollouts, double missingEosPenalty, double scoreClip, ScoreMoments? moments = null)
    {
        foreach (var r in rollouts)
        {
            var score = (moments?.Normalize(r.ModelScore) ?? r.ModelScore) - (r.Ended ? 0 : (float)missingEosPenalty);
            r.Score = scoreClip > 0 ? Math.Clamp(score, -(float)scoreClip, (float)scoreClip) : score;
        }
    }

    /// <summary>Values before each answer token, one after the other. [tokens].</summary>
    public static Tensor TokenValues(ValueModel values, IReadOnlyList<Sequence> sequences, int padId) =>
        values.Values(TokenBatch.Inputs(sequences, padId), TokenBatch.InputMask(values.Config, sequences)).reshape(-1).index_select(0, TokenBatch.PredictingPositions(sequences));

    /// <summary>
    /// Rewards (−β·KL on every token, the score on the last; the end token where there is one), advantages by GAE, whitened over the batch,
    /// and returns from the advantages before whitening.
    /// </summary>
    public static void Credit(IReadOnlyList<Rollout> rollouts, PpoHyperparameters settings, double klCoefficient)
    {
        foreach (var r in rollouts)
        {
            r.Kl = 0;
            r.Rewards = new float[r.Response.Length];
            for (var t = 0; t < r.Response.Length; t++)
            {
                var k1 = PpoMath.K1(r.LogProbs[t], r.ReferenceLogProbs[t]);
                r.Kl += k1;
                r.Rewards[t] = (float)(-klCoefficient * (settings.KlEstimator == "k3" ? PpoMath.K3(r.LogProbs[t], r.ReferenceLogProbs[t]) : k1));
            }
            r.Rewards[^1] += r.Score;
        }
        if (settings.WhitenRewards)
        {
            Whiten(rollouts, r => r.Rewards, shiftMean: false);
        }
        foreach (var r in rollouts)
        {
            (r.Advantages, r.Returns) = (new float[r.Response.Length], new float[r.Response.Length]);
            PpoMath.Gae(r.Rewards, r.Values, settings.Gamma, settings.Lambda, r.Advantages, r.Returns);
        }
        Whiten(rollouts, r => r.Advantages, shiftMean: true);
    }

    /// <summary>Numbers of several rollouts, one after the other, as a tensor. [tokens].</summary>
    public static Tensor Flat(IReadOnlyList<Rollout> rollouts, Func<Rollout, float[]> of) => tensor(rollouts.SelectMany(of).ToArray());

    private static void Whiten(IReadOnlyList<Rollout> rollouts, Func<Rollout, float[]> of, bool shiftMean)
    {
        var flat = rollouts.SelectMany(of).ToArray();
        PpoMath.Whiten(flat, shiftMean);
        var at = 0;
        foreach (var r in rollouts)
        {
            var own = of(r);
            flat.AsSpan(at, own.Length).CopyTo(own);
            at += own.Length;
        }
    }

    private static float[] Numbers(Tensor values) => values.cpu().data<float>().ToArray();
}
