// Stage "ppo": reinforcement learning from human feedback, step 3 of InstructGPT (Ouyang et al. 2022, arXiv 2203.02155, sections 3.5, C.4), with
// proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) in the form of Ziegler et al. 2019 (arXiv 1909.08593).
//
// Each batch:
//   1. sample an answer to each prompt from the policy, at temperature 1, until its end token;
//   2. score each answer with the frozen reward model at its last token; an answer without an end token loses a penalty;
//   3. reward every token with -beta * (log pi - log pi_ref), pi_ref being the frozen SFT policy, and the last token with the score too;
//   4. advantages by GAE with the value model (which starts as the reward model), whitened over the batch;
//   5. for each epoch and minibatch, one step of the policy on the clipped surrogate and one of the value model on its clipped loss;
//   6. move beta (adaptive controller only) and the moving average of the weights (when asked for).
//
// Deliberate deviations: policy and value model have separate optimizers, so no value coefficient; all means run over real tokens only (TRL's
// average over padding as well); the score sits on the last token of the answer itself, never on a padding slot; no PPO-ptx mix.

using System.Text.Json.Nodes;
using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Optim;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.Ppo;

/// <summary>A line of rollouts.jsonl: one answer as PPO saw it; lists are per token.</summary>
public sealed record LoggedRollout(int Step, string PromptId, string Prompt, string Response, string FinishReason, string[] Tokens,
    float[] LogProbs, float[] ReferenceLogProbs, float[] Values, float[] Rewards, float[] Advantages, float Score, double Kl);

/// <summary>Trains a policy against a reward model.</summary>
public static class PpoStage
{
    /// <summary>How far the first minibatch's mean ratio may be from 1 by rounding alone.</summary>
    private const double RatioTolerance = 0.01;

    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">The run, its prompts or a model cannot be used.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<PpoHyperparameters>();
        var folder = run.Spec.RequireBase();
        var rewardFolder = run.Spec.RewardModel ?? throw new BadInputException($"{run.Spec.File}: stage 'ppo' needs 'reward_model', the folder of a trained reward model.");
        run.Progress(0, 0, "loading");
        var chat = new ChatEncoder(folder);
        ModelFolder.RequireSameTokenizer(folder, rewardFolder, run.Spec.File);
        using var policy = ModelFolder.Policy(folder, chat.Tokenizer);
        using var reference = policy.Clone();
        using var reward = ModelFolder.Open(rewardFolder, RewardModel.Load);
        using var value = ValueModel.From(reward);
        using var ema = settings.EmaDecay > 0 ? policy.Clone() : null;
        Freeze(reference.Parameters, reward.Parameters, ema?.Parameters);
        var context = Math.Min(policy.Config.MaxPositions, reward.Config.MaxPositions);
        var prompts = Examples.Prompts(Rows.Prompts(run.Spec.DataOf("train"), run.Spec.File), chat, context, settings.Overlong, run);

        var total = (settings.Episodes + settings.BatchSize - 1) / settings.BatchSize;
        var peak = settings.LearningRate ?? LearningRates.Policy(policy.ParameterCount);
        var valuePeak = settings.ValueLearningRate ?? LearningRates.Value(policy.ParameterCount);
        var shape = new LearningRate(ScheduleKind.Constant, 1, total, settings.WarmupBatches, WarmupStartFraction: 0.1);
        var options = new AdamWOptions(0.9, 0.95, settings.AdamEpsilon, 0, settings.MaxGradNorm);
        using var policyOptimizer = new AdamW(policy.Parameters, options);
        using var valueOptimizer = new AdamW(value.Parameters, options);

        var parts = new Dictionary<string, IEnumerable<KeyValuePair<string, Tensor>>> { ["policy"] = policy.Parameters, ["value"] = value.Parameters };
        if (ema is not null)
        {
            parts["ema"] = ema.Parameters;
        }
        var checkpoints = new RunCheckpoints(run, settings.CheckpointEvery, parts,
            new Dictionary<string, AdamW> { ["policy_optimizer"] = policyOptimizer, ["value_optimizer"] = valueOptimizer });
        var (step, state) = checkpoints.Resume();
        var klCoefficient = state["kl_coefficient"]?.GetValue<double>() ?? settings.KlCoefficient;
        run.Log($"PPO of {policy.ParameterCount:N0} parameters on {prompts.Count} prompts: {total} batches of {settings.BatchSize}, learning rates {peak:G3} (policy) and {valuePeak:G3} (value), KL coefficient {klCoefficient:G3}.");

        while (step < total)
        {
            run.Progress(step, total, "training");
            using (NewDisposeScope())
            {
                var watch = System.Diagnostics.Stopwatch.StartNew();
                var rollouts = Rollouts.Sample(policy, PromptsOf(prompts, step, settings.BatchSize, run.Spec.Seed), settings, chat.EosId, Seeds.Derive(run.Spec.Seed, step, 1), CancellationToken.None);
                var generating = watch.Elapsed.TotalSeconds;
                Rollouts.Look(rollouts, policy, reference, value, reward, settings, chat.PadId);
                CheckFinite(rollouts, step + 1);
                Rollouts.Credit(rollouts, settings, klCoefficient);
                var scoring = watch.Elapsed.TotalSeconds - generating;

                var factor = shape.At(step);
                var learned = Learn(rollouts, policy, value, policyOptimizer, valueOptimizer, settings, (peak * factor, valuePeak * factor), chat.PadId, Seeds.Derive(run.Spec.Seed, step, 2));
                step++;
                CheckFirstRatio(learned.FirstRatio, step);
                if (ema is not null)
                {
                    Average(ema.Parameters, policy.Parameters, settings.EmaDecay);
                }

                var metrics = Describe(rollouts, learned, klCoefficient);
                metrics["lr"] = peak * factor;
                metrics["episode"] = (double)step * settings.BatchSize;
                metrics["timing/generate"] = generating;
                metrics["timing/score"] = scoring;
                metrics["timing/learn"] = watch.Elapsed.TotalSeconds - generating - scoring;
                run.Metrics(step, metrics);
                if (metrics["objective/kl"] < -1)
                {
                    run.Log($"Step {step}: the KL estimate is {metrics["objective/kl"]:F2}. It should not be far below 0; the policy and the reference may be scored differently.");
                }
                if (settings.RolloutsLogged > 0)
                {
                    run.AppendRows("rollouts.jsonl", rollouts.Take(settings.RolloutsLogged).Select(r => Logged(r, chat, step)));
                }
                if (settings.KlController == "adaptive")
                {
                    klCoefficient = PpoMath.AdaptKlCoefficient(klCoefficient, metrics["objective/kl"], settings.KlTarget, settings.KlHorizon, rollouts.Count);
                }
            }
            checkpoints.AfterStep(step, total, () => new JsonObject { ["kl_coefficient"] = klCoefficient });
        }
        run.Progress(total, total, "saving");
        run.WriteOutput(output => (ema ?? policy).Save(output, folder));
        run.Finish(total, run.LastMetrics());
        run.Progress(total, total, "done");
    }

    /// <summary>The next prompts: all of them once in a random order, then again in another.</summary>
    internal static List<(PromptRow Row, int[] Ids)> PromptsOf(List<(PromptRow Row, int[] Ids)> prompts, int step, int batchSize, long seed)
    {
        var first = (long)step * batchSize;
        var orders = new Dictionary<long, int[]>();
        return [.. Enumerable.Range(0, batchSize).Select(i =>
        {
            var (pass, place) = Math.DivRem(first + i, prompts.Count);
            if (!orders.TryGetValue(pass, out var order))
            {
                orders[pass] = order = Seeds.Permutation(prompts.Count, Seeds.Derive(seed, pass, 0));
            }
            return prompts[order[place]];
        })];
    }

    private sealed record Learned(double FirstRatio, Dictionary<string, double> Means);

    private static Learned Learn(List<Rollout> rollouts, CausalLm policy, ValueModel value, AdamW policyOptimizer, AdamW valueOptimizer,
        PpoHyperparameters settings, (double Policy, double Value) learningRate, int padId, long seed)
    {
        var sums = new Dictionary<string, double>();
        var first = double.NaN;
        var steps = 0;
        var size = (rollouts.Count + settings.NumMinibatches - 1) / settings.NumMinibatches;
        for (var epoch = 0; epoch < settings.PpoEpochs; epoch++)
        {
            foreach (var indices in Seeds.Permutation(rollouts.Count, Seeds.Derive(seed, epoch)).Chunk(size))
            {
                using var scope = NewDisposeScope();
                var batch = indices.Select(i => rollouts[i]).ToList();
                var sequences = batch.Select(r => r.Sequence).ToList();
                var logits = TokenBatch.Logits(policy, sequences, padId);
                var logProbs = TokenBatch.LogProbs(logits, TokenBatch.Targets(sequences), settings.Temperature);
                var policyLoss = PpoMath.PolicyLoss(logProbs, Rollouts.Flat(batch, r => r.LogProbs), Rollouts.Flat(batch, r => r.Advantages), settings.ClipRange);
                policyLoss.Loss.backward();
                Add("loss/policy_avg", Finite.Loss(policyLoss.Loss, steps + 1, "policy loss"));
                Add("policy/grad_norm", policyOptimizer.Step(learningRate.Policy));

                var returns = Rollouts.Flat(batch, r => r.Returns);
                var (valueLoss, valueClipped) = PpoMath.ValueLoss(Rollouts.TokenValues(value, sequences, padId), Rollouts.Flat(batch, r => r.Values), returns, settings.ValueClipRange);
                valueLoss.backward();
                Add("loss/value_avg", Finite.Loss(valueLoss, steps + 1, "value loss"));
                Add("val/grad_norm", valueOptimizer.Step(learningRate.Value));

                Add("policy/approxkl_avg", policyLoss.ApproxKl);
                Add("policy/clipfrac_avg", policyLoss.ClipFraction);
                Add("policy/entropy_avg", Entropy(logits, settings.Temperature));
                Add("val/clipfrac_avg", valueClipped);
                Add("val/ratio", policyLoss.Ratio);
                Add("val/ratio_var", policyLoss.RatioVariance);
                first = double.IsNaN(first) ? policyLoss.Ratio : first;
                steps++;
            }
        }
        return new Learned(first, sums.ToDictionary(s => s.Key, s => s.Value / steps));

        void Add(string name, double number) => sums[name] = sums.GetValueOrDefault(name) + number;
    }

    /// <summary>Mean entropy of the next-token distributions, nats.</summary>
    internal static double Entropy(Tensor logits, double temperature)
    {
        using var frozen = no_grad();
        using var scope = NewDisposeScope();
        var log = nn.functional.log_softmax(logits.detach() / temperature, 1);
        return -(log.exp() * log).sum(1).mean().item<float>();
    }

    /// <summary>The batch in the names of TRL and lm-human-preferences; means run over answers or over their real tokens.</summary>
    private static Dictionary<string, double> Describe(List<Rollout> rollouts, Learned learned, double klCoefficient)
    {
        var returns = rollouts.SelectMany(r => r.Returns).ToArray();
        var errors = rollouts.SelectMany(r => r.Returns.Zip(r.Values, (a, b) => a - b)).ToArray();
        var variance = PpoMath.MeanAndVariance(returns).Variance;
        var nonScore = rollouts.Average(r => -klCoefficient * r.Kl);
        var metrics = new Dictionary<string, double>
        {
            ["objective/kl"] = rollouts.Average(r => r.Kl),
            ["objective/kl_coef"] = klCoefficient,
            ["objective/entropy"] = rollouts.Average(r => -r.LogProbs.Sum(p => (double)p)),
            ["objective/non_score_reward"] = nonScore,
            ["objective/scores"] = rollouts.Average(r => (double)r.Score),
            ["objective/rlhf_reward"] = nonScore + rollouts.Average(r => (double)r.Score),
            ["ppo/returns/mean"] = returns.Average(r => (double)r),
            ["ppo/val/var_explained"] = variance > 0 ? 1 - (PpoMath.MeanAndVariance(errors).Variance / variance) : 0,
            ["val/num_eos_tokens"] = rollouts.Count(r => r.Ended),
            ["completions/mean_length"] = rollouts.Average(r => (double)r.Response.Length),
        };
        foreach (var (name, mean) in learned.Means)
        {
            metrics[name] = mean;
        }
        return metrics;
    }

    internal static LoggedRollout Logged(Rollout r, ChatEncoder chat, int step) => new(
        step, r.Row.Id, chat.Tokenizer.Decode(r.Sequence.Ids[..r.Sequence.From]), chat.Text(r.Response), r.Ended ? "stop" : "length",
        [.. r.Response.Select(id => chat.Tokenizer.Decode([id]))], r.LogProbs, r.ReferenceLogProbs, r.Values, r.Rewards, r.Advantages, r.Score, r.Kl);

    internal static void CheckFinite(List<Rollout> rollouts, int step)
    {
        foreach (var r in rollouts)
        {
            var name = !r.LogProbs.All(float.IsFinite) ? "the policy's log-probabilities"
                : !r.ReferenceLogProbs.All(float.IsFinite) ? "the reference policy's log-probabilities"
                : !r.Values.All(float.IsFinite) ? "the value model's values"
                : !float.IsFinite(r.Score) ? "the reward model's score" : null;
            if (name is not null)
            {
                throw new NonFiniteException($"Step {step}: {name} of prompt {r.Row.Id} are not finite. The last checkpoint before it stands.");
            }
        }
    }

    /// <summary>Before any learning the policy is the one that sampled; a mean ratio other than 1 means that the two were computed differently.</summary>
    internal static void CheckFirstRatio(double ratio, int step)
    {
        if (Math.Abs(ratio - 1) > RatioTolerance)
        {
            throw new InvalidOperationException($"Step {step}: the first minibatch has ratio {ratio:F4} instead of 1. Sampling and training disagree about log-probabilities; this is a defect of the trainer, not of your data.");
        }
    }

    internal static void Freeze(params IEnumerable<IReadOnlyDictionary<string, Tensor>?> models)
    {
        foreach (var tensor in models.OfType<IReadOnlyDictionary<string, Tensor>>().SelectMany(m => m.Values))
        {
            tensor.requires_grad_(false);
        }
    }

    private static void Average(IReadOnlyDictionary<string, Tensor> average, IReadOnlyDictionary<string, Tensor> now, double decay)
    {
        using var frozen = no_grad();
        using var scope = NewDisposeScope();
        foreach (var (name, tensor) in average)
        {
            tensor.lerp_(now[name], 1 - decay);
        }
    }
}
