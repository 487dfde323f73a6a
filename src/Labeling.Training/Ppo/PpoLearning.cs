using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Native;
using Labeling.Training.Optim;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.Ppo;

/// <summary>The two models that PPO trains, each with its optimizer.</summary>
internal sealed record Learners(CausalLm Policy, AdamW PolicyOptimizer, ValueModel Value, AdamW ValueOptimizer);

/// <summary>Learns from one batch of answers, with one step of each optimizer per minibatch.</summary>
internal static class PpoLearning
{
    /// <summary>Learns from a batch.</summary>
    /// <param name="rollouts">Answers with log-probabilities, values, advantages and returns.</param>
    /// <param name="models">Changed in place.</param>
    /// <param name="settings">Hyperparameters.</param>
    /// <param name="learningRate">Rates of this batch.</param>
    /// <param name="ptx">Pre-training examples by position in the stream of this batch and count; null without PPO-ptx.</param>
    /// <param name="padId">Fills unused places.</param>
    /// <param name="seed">Seed of the orders.</param>
    /// <param name="step">Number of the batch, from 1, for messages.</param>
    /// <param name="times">Told when gradients and when steps are done.</param>
    /// <returns>Means over all minibatches, by metric name.</returns>
    /// <exception cref="NonFiniteException">A loss is not finite; no step was taken with it.</exception>
    /// <exception cref="SelfCheckException">The first minibatch does not have ratio 1; no step was taken.</exception>
    public static Dictionary<string, double> Learn(IReadOnlyList<Rollout> rollouts, Learners models, PpoHyperparameters settings,
        (double Policy, double Value) learningRate, Func<int, int, List<Sequence>>? ptx, int padId, long seed, int step, PhaseTimes times)
    {
        var drawn = 0;
        return Minibatches.Learn(rollouts, settings.NumMinibatches, settings.PpoEpochs, seed, step, times, minibatch =>
        {
            var numbers = Accumulate(minibatch, models, settings, padId, step);
            if (ptx is not null)
            {
                var examples = ptx(drawn, minibatch.Count * settings.PtxExamplesPerEpisode);
                drawn += examples.Count;
                numbers["loss/ptx_avg"] = AccumulatePtx(examples, models.Policy, settings, padId, step);
            }
            return numbers;
        }, numbers =>
        {
            numbers["policy/grad_norm"] = models.PolicyOptimizer.Step(learningRate.Policy);
            numbers["val/grad_norm"] = models.ValueOptimizer.Step(learningRate.Value);
        });
    }

    /// <summary>
    /// Adds up the gradients of a minibatch's two losses, micro-batch by micro-batch. Each counts by its share of the minibatch's tokens, so the
    /// sum is the gradient of the mean over all of them. Returns the minibatch's means by metric name.
    /// </summary>
    public static Dictionary<string, double> Accumulate(IReadOnlyList<Rollout> minibatch, Learners models, PpoHyperparameters settings, int padId, int step)
    {
        double tokens = minibatch.Sum(r => r.Response.Length);
        var numbers = new Dictionary<string, double>();
        var ratios = new List<(double Share, double Mean, double Variance)>();
        foreach (var batch in BatchPlan.MicroBatches(minibatch, settings.MicroBatchSize))
        {
            using var scope = NewDisposeScope();
            var share = batch.Sum(r => r.Response.Length) / tokens;
            var sequences = batch.Select(r => r.Sequence).ToList();
            var logits = TokenBatch.Logits(models.Policy, sequences, padId);
            var logProbs = TokenBatch.LogProbs(logits, TokenBatch.Targets(sequences), settings.Temperature);
            var policy = PpoMath.PolicyLoss(logProbs, Rollouts.Flat(batch, r => r.LogProbs), Rollouts.Flat(batch, r => r.Advantages), settings.ClipRange);
            Add("loss/policy_avg", Finite.Loss(policy.Loss, step, "policy loss"));
            AutogradFunction.RunBackward(policy.Loss * share);

            var value = PpoMath.ValueLoss(Rollouts.TokenValues(models.Value, sequences, padId), Rollouts.Flat(batch, r => r.Values), Rollouts.Flat(batch, r => r.Returns), settings.ValueClipRange);
            Add("loss/value_avg", Finite.Loss(value.Loss, step, "value loss"));
            AutogradFunction.RunBackward(value.Loss * share);

            Add("policy/approxkl_avg", policy.ApproxKl);
            Add("policy/clipfrac_avg", policy.ClipFraction);
            Add("policy/entropy_avg", Entropy(logits, settings.Temperature));
            Add("val/clipfrac_avg", value.ClipFraction);
            Add("val/ratio", policy.Ratio);
            Add("ppo/val/vpred", value.Prediction);
            Add("ppo/val/error", value.Error);
            ratios.Add((share, policy.Ratio, policy.RatioVariance));

            void Add(string name, double number) => numbers[name] = numbers.GetValueOrDefault(name) + (share * number);
        }
        // Unbiased, as TRL prints it.
        numbers["val/ratio_var"] = ratios.Sum(r => r.Share * (r.Variance + Math.Pow(r.Mean - numbers["val/ratio"], 2))) * tokens / Math.Max(1, tokens - 1);
        return numbers;
    }

    /// <summary>Adds gamma times the gradient of the mean language-model loss to the policy's gradient; returns that mean.</summary>
    private static double AccumulatePtx(List<Sequence> examples, CausalLm policy, PpoHyperparameters settings, int padId, int step)
    {
        double tokens = examples.Sum(e => e.Supervised);
        double mean = 0;
        foreach (var batch in BatchPlan.MicroBatches(examples, settings.MicroBatchSize))
        {
            using var scope = NewDisposeScope();
            var share = batch.Sum(e => e.Supervised) / tokens;
            var (loss, _) = NextTokenLoss.Backward(policy, TokenBatch.Hidden(policy, batch, padId), TokenBatch.Targets(batch), settings.PtxCoefficient * share);
            mean += share * Finite.Loss(loss, step, "pre-training loss");
        }
        return mean;
    }

    /// <summary>Mean entropy of the next-token distributions, nats.</summary>
    internal static double Entropy(Tensor logits, double temperature)
    {
        using var frozen = no_grad();
        using var scope = NewDisposeScope();
        var log = nn.functional.log_softmax(logits.detach() / temperature, 1);
        return -(log.exp() * log).sum(1).mean().item<float>();
    }
}
