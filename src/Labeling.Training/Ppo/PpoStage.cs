// Stage "ppo": reinforcement learning from human feedback, step 3 of InstructGPT (Ouyang et al. 2022, arXiv 2203.02155, sections 3.5, C.4), with
// proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) in the form of Ziegler et al. 2019 (arXiv 1909.08593).
//
// Each batch:
//   1. sample an answer to each prompt from the policy, at temperature 1, until its end token;
//   2. score each answer with the frozen reward model at its last token; an answer without an end token loses a penalty;
//   3. reward every token with -beta * (log pi - log pi_ref), pi_ref being the frozen SFT policy, and the last token with the score too;
//   4. advantages by GAE with the value model (which starts as the reward model), whitened over the batch;
//   5. for each epoch and minibatch, one step of the policy on the clipped surrogate and one of the value model on its clipped loss. With rows of split
//      "pretrain" (PPO-ptx), the policy's step takes the gradient of gamma times the mean language-model loss on some of them along;
//   6. move beta (adaptive controller only) and the moving average of the weights (when asked for).
//
// Deliberate deviations: policy and value model have separate optimizers, so no value coefficient; all means run over real tokens only (TRL's
// average over padding as well); the score sits on the last token of the answer itself, never on a padding slot.
//
// About the mix of PPO-ptx: the paper's gamma of 27.8 is in units it does not print, and as a factor between two means per token it drowns the reward: the gradient
// is clipped and Adam forgets its size, so the step becomes a pre-training step. On a small world it took the score from -0.5 to -2.0 where gamma 0 reached 2.0 and
// gamma 1 reached 1.6 while the loss on the text fell from 3.9 to 1.5 nats instead of rising to 5.1. So gamma is 1 unless set, with one example per answer.

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
    /// <summary>Answers of the reference policy on which scores are measured; lm-human-preferences takes 256 batches, a mean needs fewer.</summary>
    private const int ReferenceSamples = 256;

    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">The run, its prompts or a model cannot be used.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<PpoHyperparameters>();
        var folder = run.Spec.RequireBase();
        run.Progress(0, 0, "loading");
        var chat = new ChatEncoder(folder);
        ModelFolder.RequirePadApart(chat.Tokenizer, folder);
        using var policy = ModelFolder.Policy(folder, chat.Tokenizer);
        using var reference = policy.Clone();
        settings.AddLora(policy.AddLora, run.Spec.Seed, run.Spec.File);
        using var reward = ModelFolder.Reward(run.Spec, folder, policy, chat.Tokenizer);
        using var value = ValueModel.From(reward);
        using var ema = settings.EmaDecay > 0 ? policy.Clone() : null;
        Freeze(reference.Parameters, reward.Parameters, ema?.Parameters);
        var context = policy.Config.MaxPositions;
        var prompts = Examples.Prompts(Rows.Prompts(run.Spec.DataOf("train"), run.Spec.File), chat, context, settings.Overlong, run);
        var promptOrder = new EndlessOrder(prompts.Count, run.Spec.Seed);
        var ptx = settings.PtxCoefficient > 0 ? PtxExamples.Read(run, chat, policy.Config.MaxPositions, settings.Overlong) : null;
        SelfChecks.Padding(policy, prompts[0].Ids, chat.EosId, chat.PadId);
        SelfChecks.Padding(value, prompts[0].Ids, chat.EosId, chat.PadId);
        SelfChecks.Padding(reward, prompts[0].Ids, chat.EosId, chat.PadId);

        var total = (settings.Episodes + settings.BatchSize - 1) / settings.BatchSize;
        var peak = settings.LearningRate ?? settings.Rate(LearningRates.Policy(policy.ParameterCount));
        var valuePeak = settings.ValueLearningRate ?? LearningRates.Value(policy.ParameterCount);
        var shape = new LearningRate(settings.LearningRateSchedule == "linear" ? ScheduleKind.Linear : ScheduleKind.Constant, 1, total, settings.WarmupBatches, WarmupStartFraction: 0.1);
        var options = new AdamWOptions(0.9, 0.95, settings.AdamEpsilon, 0, settings.MaxGradNorm, TensorFlowEpsilon: settings.TfAdamEpsilon);
        using var policyOptimizer = new AdamW(policy.Trainable, options);
        using var valueOptimizer = new AdamW(value.Parameters, options);
        var learners = new Learners(policy, policyOptimizer, value, valueOptimizer);

        var parts = new Dictionary<string, IEnumerable<KeyValuePair<string, Tensor>>> { ["policy"] = policy.Trainable, ["value"] = value.Parameters };
        if (ema is not null)
        {
            parts["ema"] = ema.Trainable;
        }
        var checkpoints = new RunCheckpoints(run, settings.CheckpointEvery, parts,
            new Dictionary<string, AdamW> { ["policy_optimizer"] = policyOptimizer, ["value_optimizer"] = valueOptimizer });
        var (step, state) = checkpoints.Resume();
        var klCoefficient = state["kl_coefficient"]?.GetValue<double>() ?? settings.KlCoefficient;
        var lowKl = state["low_kl_batches"]?.GetValue<int>() ?? 0;
        var moments = settings.ScoreNormalization == "none" ? null : new ScoreMoments(state["score_moments"]);
        run.Log($"PPO of {policy.ParameterCount:N0} parameters on {prompts.Count} prompts: {total} batches of {settings.BatchSize}, learning rates {peak:G3} (policy) and {valuePeak:G3} (value), KL coefficient {klCoefficient:G3}."
            + (ptx is null ? "" : $" {settings.PtxExamplesPerEpisode} of {ptx.Count} pre-training examples per answer, weight {settings.PtxCoefficient:G3}."));

        List<(PromptRow Row, int[] Ids)> Prompts(long first) => [.. promptOrder.Range(first, settings.BatchSize).Select(i => prompts[i])];
        if (settings.ScoreNormalization == "reference" && moments!.Count == 0)
        {
            run.Progress(step, total, "measuring rewards");
            for (var batch = 0; batch * settings.BatchSize < ReferenceSamples; batch++)
            {
                var samples = Rollouts.Sample(reference, Prompts((long)batch * settings.BatchSize), settings, chat.EosId, Seeds.Derive(run.Spec.Seed, -2, batch), CancellationToken.None);
                Rollouts.Look(samples, reference, reference, value, reward, settings, chat.PadId);
                PpoChecks.AllFinite(samples, step);
                moments.Add(samples.Select(r => r.ModelScore));
            }
            run.Log($"Scores of the starting policy: mean {moments.Mean:G4}, deviation {moments.Deviation:G4} over {moments.Count} answers; scores are brought to 0 and 1 by them.");
        }

        var stopped = state["stopped"]?.GetValue<bool>() ?? false;
        var times = new PhaseTimes();
        while (step < total && !stopped)
        {
            run.Progress(step, total, "training");
            using (NewDisposeScope())
            {
                var asked = Prompts((long)step * settings.BatchSize);
                times.Mark();
                var rollouts = Rollouts.Sample(policy, asked, settings, chat.EosId, Seeds.Derive(run.Spec.Seed, step, 1), CancellationToken.None);
                times.Mark("generate");
                Rollouts.Look(rollouts, policy, reference, value, reward, settings, chat.PadId);
                times.Mark("score");
                PpoChecks.AllFinite(rollouts, step + 1);
                PpoChecks.SampledAlike(rollouts, step + 1);
                if (settings.ScoreNormalization == "running")
                {
                    moments!.Add(rollouts.Select(r => r.ModelScore));
                }
                Rollouts.Score(rollouts, settings.MissingEosPenalty, settings.ScoreClip, moments);
                Rollouts.Credit(rollouts, settings, klCoefficient);
                times.Mark("credit");

                var factor = shape.At(step);
                var ptxOfBatch = (long)step * settings.BatchSize * settings.PpoEpochs * settings.PtxExamplesPerEpisode;
                Func<int, int, List<Sequence>>? ptxRange = ptx is null ? null : (drawn, count) => ptx.Range(ptxOfBatch + drawn, count);
                var learned = PpoLearning.Learn(rollouts, learners, settings, (peak * factor, valuePeak * factor), ptxRange, chat.PadId, Seeds.Derive(run.Spec.Seed, step, 2), step + 1, times);
                step++;
                if (ema is not null)
                {
                    Average(ema.Trainable, policy.Trainable, settings.EmaDecay);
                    times.Mark("optimize");
                }

                var metrics = PpoMetrics.Describe(rollouts, learned, klCoefficient);
                metrics["lr"] = peak * factor;
                metrics["episode"] = (double)step * settings.BatchSize;
                times.Report(metrics);
                metrics["eps"] = rollouts.Count / metrics["timing/step"];
                run.Metrics(step, metrics);
                if (settings.RolloutsLogged > 0)
                {
                    run.AppendRows("rollouts.jsonl", rollouts.Take(settings.RolloutsLogged).Select(r => Logged(r, chat, step)));
                }
                var kl = metrics["objective/kl"];
                lowKl = PpoChecks.LowKlInARow(kl, lowKl, step, run.Log);
                if (settings.KlController == "adaptive")
                {
                    klCoefficient = PpoMath.AdaptKlCoefficient(klCoefficient, kl, settings.KlTarget, settings.KlHorizon, rollouts.Count);
                }
                if (settings.KlStop > 0 && kl > settings.KlStop)
                {
                    stopped = true;
                    run.Log($"Ended early after step {step} of {total}: the divergence from the starting policy is {kl:F2} nats per answer, above kl_stop = {settings.KlStop:G4}.");
                }
            }
            checkpoints.AfterStep(step, total, () => new JsonObject { ["kl_coefficient"] = klCoefficient, ["low_kl_batches"] = lowKl, ["score_moments"] = moments?.ToJson(), ["stopped"] = stopped });
        }
        run.Progress(step, step, "saving");
        run.WriteOutput(output => (ema ?? policy).Save(output, folder));
        run.Finish(step, run.LastMetrics());
        run.Progress(step, step, "done");
    }

    internal static LoggedRollout Logged(Rollout r, ChatEncoder chat, int step) => new(
        step, r.Row.Id, chat.Tokenizer.Decode(r.Sequence.Ids[..r.Sequence.From]), chat.Text(r.Response), r.Ended ? "stop" : "length",
        [.. r.Response.Select(id => chat.Tokenizer.Decode([id]))], r.LogProbs, r.ReferenceLogProbs, r.Values, r.Rewards, r.Advantages, r.Score, r.Kl);

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
