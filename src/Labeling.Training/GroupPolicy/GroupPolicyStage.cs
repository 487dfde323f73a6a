// Stages "grpo" and "rloo": reinforcement learning against a reward model without a value model. K answers to the same prompt are compared with each other:
// group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300) and REINFORCE leave-one-out (Ahmadian et al. 2024, arXiv 2402.14740).
//
// Each batch:
//   1. sample K answers to each prompt from the policy and score them with the frozen reward model, as in the stage "ppo";
//   2. rloo only: subtract beta * (log pi - log pi_ref) of the whole answer from its score; pi_ref is the frozen starting policy;
//   3. the advantage of an answer, the same for all its tokens: grpo (r - mean)/(std + 1e-4) within its group; rloo r - mean of the others;
//   4. for each iteration and minibatch, one step of the policy on PPO's clipped surrogate; grpo adds beta * KL to the loss (k3 estimate).
//
// Deliberate deviations: the mean runs over all tokens of a step, as in DAPO (Yu et al. 2025, arXiv 2503.14476), and not first over each answer, which makes tokens
// of long answers count less; the ratio is per token in rloo as well (with one step per batch it is 1, and the step is plain REINFORCE); the learning rate
// rises over the first batches.

using Labeling.Training.Data;
using Labeling.Training.Optim;
using Labeling.Training.Ppo;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.GroupPolicy;

/// <summary>Trains a policy against a reward model by comparing answers to the same prompt.</summary>
public static class GroupPolicyStage
{
    /// <summary>Runs "grpo" or "rloo", whichever run.json names, to its end.</summary>
    /// <exception cref="BadInputException">The run, its prompts or a model cannot be used.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run)
    {
        GroupPolicyHyperparameters settings = run.Spec.Stage == "grpo" ? run.Spec.Hyperparameters<GrpoHyperparameters>() : run.Spec.Hyperparameters<RlooHyperparameters>();
        var folder = run.Spec.RequireBase();
        run.Progress(0, 0, "loading");
        var chat = new ChatEncoder(folder);
        ModelFolder.RequirePadApart(chat.Tokenizer, folder);
        using var policy = ModelFolder.Policy(folder, chat.Tokenizer);
        using var reward = ModelFolder.Reward(run.Spec, folder, policy, chat.Tokenizer);
        using var reference = policy.Clone();
        settings.AddLora(policy.AddLora, run.Spec.Seed, run.Spec.File);
        PpoStage.Freeze(reference.Parameters, reward.Parameters);
        var prompts = Examples.Prompts(Rows.Prompts(run.Spec.DataOf("train"), run.Spec.File), chat, policy.Config.MaxPositions, settings.Overlong, run);
        var order = new EndlessOrder(prompts.Count, run.Spec.Seed);

        var (k, batchSize) = (settings.AnswersPerPrompt, settings.PromptsPerBatch * settings.AnswersPerPrompt);
        var total = (settings.Episodes + batchSize - 1) / batchSize;
        var peak = settings.LearningRate ?? settings.Rate(LearningRates.Policy(policy.ParameterCount));
        var schedule = new LearningRate(ScheduleKind.Constant, peak, total, settings.WarmupBatches, WarmupStartFraction: 0.1);
        using var optimizer = new AdamW(policy.Trainable, new AdamWOptions(0.9, 0.95, 1e-5, 0, settings.MaxGradNorm));
        var checkpoints = new RunCheckpoints(run, settings.CheckpointEvery, new Dictionary<string, IEnumerable<KeyValuePair<string, Tensor>>> { ["policy"] = policy.Trainable },
            new Dictionary<string, AdamW> { ["optimizer"] = optimizer });
        var (step, _) = checkpoints.Resume();
        run.Log($"{run.Spec.Stage.ToUpperInvariant()} of {policy.ParameterCount:N0} parameters on {prompts.Count} prompts: {total} batches of {settings.PromptsPerBatch} prompts with {k} answers, learning rate {peak:G3}, KL coefficient {settings.KlCoefficient:G3}.");

        var times = new PhaseTimes();
        while (step < total)
        {
            run.Progress(step, total, "training");
            using (NewDisposeScope())
            {
                var asked = order.Range((long)step * settings.PromptsPerBatch, settings.PromptsPerBatch).SelectMany(i => Enumerable.Repeat(prompts[i], k)).ToList();
                times.Mark();
                var rollouts = Rollouts.Sample(policy, asked, settings, chat.EosId, Seeds.Derive(run.Spec.Seed, step, 1), CancellationToken.None);
                times.Mark("generate");
                Rollouts.Look(rollouts, policy, reference, null, reward, settings, chat.PadId);
                times.Mark("score");
                PpoChecks.AllFinite(rollouts, step + 1);
                PpoChecks.SampledAlike(rollouts, step + 1);
                Rollouts.Score(rollouts, settings.MissingEosPenalty, scoreClip: 0);
                var groups = rollouts.Chunk(k).ToList();
                groups.ForEach(group => Credit(group, settings));
                times.Mark("credit");

                var learningRate = schedule.At(step);
                var learned = GroupPolicyLearning.Learn(rollouts, policy, optimizer, settings, learningRate, chat.PadId, Seeds.Derive(run.Spec.Seed, step, 2), step + 1, times);
                step++;

                var metrics = Describe(groups, learned);
                metrics["lr"] = learningRate;
                metrics["episode"] = (double)step * batchSize;
                times.Report(metrics);
                run.Metrics(step, metrics);
                if (settings.RolloutsLogged > 0)
                {
                    run.AppendRows("rollouts.jsonl", rollouts.Take(settings.RolloutsLogged).Select(r => PpoStage.Logged(r, chat, step)));
                }
            }
            checkpoints.AfterStep(step, total);
        }
        run.Progress(total, total, "saving");
        run.WriteOutput(output => policy.Save(output, folder));
        run.Finish(total, run.LastMetrics());
        run.Progress(total, total, "done");
    }

    /// <summary>Rewards and advantages of one prompt's answers. The reward stands at the last token, the advantage at every one.</summary>
    internal static void Credit(IReadOnlyList<Rollout> group, GroupPolicyHyperparameters settings)
    {
        foreach (var r in group)
        {
            r.Kl = r.LogProbs.Zip(r.ReferenceLogProbs, (p, q) => (double)PpoMath.K1(p, q)).Sum();
            r.Rewards = new float[r.Response.Length];
            r.Rewards[^1] = settings is RlooHyperparameters ? (float)(r.Score - (settings.KlCoefficient * r.Kl)) : r.Score;
        }
        var rewards = group.Select(r => r.Rewards[^1]).ToList();
        var advantages = settings is GrpoHyperparameters grpo ? GroupMath.GroupRelative(rewards, grpo.ScaleRewards) : GroupMath.LeaveOneOut(rewards);
        foreach (var (r, advantage) in group.Zip(advantages))
        {
            r.Advantages = [.. Enumerable.Repeat(advantage, r.Response.Length)];
        }
    }

    /// <summary>The batch in TRL's names. A group whose rewards are all the same teaches nothing.</summary>
    private static Dictionary<string, double> Describe(List<Rollout[]> groups, Dictionary<string, double> learned)
    {
        var rollouts = groups.SelectMany(g => g).ToList();
        var deviations = groups.Select(g => GroupMath.MeanAndDeviation([.. g.Select(r => r.Score)]).Deviation).ToList();
        return new Dictionary<string, double>(learned)
        {
            ["reward"] = rollouts.Average(r => (double)r.Score),
            ["reward_std"] = deviations.Average(),
            ["frac_reward_zero_std"] = deviations.Average(d => d < 1e-6 ? 1.0 : 0),
            ["objective/kl"] = rollouts.Average(r => r.Kl),
            ["objective/scores"] = rollouts.Average(r => (double)r.Score),
            ["objective/rlhf_reward"] = rollouts.Average(r => (double)r.Rewards[^1]),
            ["completions/mean_length"] = rollouts.Average(r => (double)r.Response.Length),
            ["completions/min_length"] = rollouts.Min(r => r.Response.Length),
            ["completions/max_length"] = rollouts.Max(r => r.Response.Length),
            ["completions/clipped_ratio"] = rollouts.Average(r => r.Ended ? 0.0 : 1),
        };
    }
}
