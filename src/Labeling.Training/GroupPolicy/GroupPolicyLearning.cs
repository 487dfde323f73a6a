using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Native;
using Labeling.Training.Optim;
using Labeling.Training.Ppo;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.GroupPolicy;

/// <summary>Learns from one batch of answers with advantages: every iteration in a new order, one step per minibatch.</summary>
internal static class GroupPolicyLearning
{
    /// <summary>Learns from a batch.</summary>
    /// <param name="rollouts">Answers with log-probabilities and advantages.</param>
    /// <param name="policy">Changed in place.</param>
    /// <param name="optimizer">Of the policy.</param>
    /// <param name="settings">Hyperparameters.</param>
    /// <param name="learningRate">Rate of this batch.</param>
    /// <param name="padId">Fills unused places.</param>
    /// <param name="seed">Seed of the orders.</param>
    /// <param name="step">Number of the batch, from 1, for messages.</param>
    /// <param name="times">Learns how long learning and the optimizer took.</param>
    /// <returns>Means over all minibatches, by metric name.</returns>
    /// <exception cref="NonFiniteException">A loss is not finite; no step was taken with it.</exception>
    /// <exception cref="SelfCheckException">The first minibatch does not have ratio 1; no step was taken.</exception>
    public static Dictionary<string, double> Learn(IReadOnlyList<Rollout> rollouts, CausalLm policy, AdamW optimizer, GroupPolicyHyperparameters settings, double learningRate, int padId, long seed, int step, PhaseTimes times) =>
        Minibatches.Learn(rollouts, settings.NumMinibatches, settings.NumIterations, seed, step, times,
            minibatch => Accumulate(minibatch, policy, settings, padId, step), numbers => numbers["grad_norm"] = optimizer.Step(learningRate));

    /// <summary>
    /// Adds up the gradients of a minibatch's loss, micro-batch by micro-batch. Each counts by its share of the minibatch's tokens, so the sum is the
    /// gradient of the mean over all of them. Returns the minibatch's means by metric name.
    /// </summary>
    public static Dictionary<string, double> Accumulate(IReadOnlyList<Rollout> minibatch, CausalLm policy, GroupPolicyHyperparameters settings, int padId, int step)
    {
        double tokens = minibatch.Sum(r => r.Response.Length);
        var numbers = new Dictionary<string, double>();
        foreach (var batch in BatchPlan.MicroBatches(minibatch, settings.MicroBatchSize))
        {
            using var scope = NewDisposeScope();
            var share = batch.Sum(r => r.Response.Length) / tokens;
            var sequences = batch.Select(r => r.Sequence).ToList();
            var logits = TokenBatch.Logits(policy, sequences, padId);
            var logProbs = TokenBatch.LogProbs(logits, TokenBatch.Targets(sequences), settings.Temperature);
            var surrogate = PpoMath.PolicyLoss(logProbs, Rollouts.Flat(batch, r => r.LogProbs), Rollouts.Flat(batch, r => r.Advantages), settings.ClipRange);
            var kl = GroupMath.KlPenalty(logProbs, Rollouts.Flat(batch, r => r.ReferenceLogProbs));
            var loss = settings is GrpoHyperparameters ? surrogate.Loss + (settings.KlCoefficient * kl) : surrogate.Loss;
            Add("loss", Finite.Loss(loss, step));
            AutogradFunction.RunBackward(loss * share);
            Add("kl", kl.item<float>());
            Add("clip_ratio", surrogate.ClipFraction);
            Add("entropy", PpoLearning.Entropy(logits, settings.Temperature));
            Add("policy/approxkl_avg", surrogate.ApproxKl);
            Add("val/ratio", surrogate.Ratio);

            void Add(string name, double number) => numbers[name] = numbers.GetValueOrDefault(name) + (share * number);
        }
        return numbers;
    }
}
