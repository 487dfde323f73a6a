using System.Text.Json.Nodes;
using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Native;
using Labeling.Training.Optim;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.DirectPreference;

/// <summary>What the stages "dpo" and "kto" share.</summary>
public abstract record PreferenceHyperparameters : LoraDropoutHyperparameters
{
    [Hyperparameter("Step size of learning. Absent: from the model's size, 1e-4 at 1M parameters falling to 1e-6 at 2.8B.",
        Source = "Rafailov et al. 2023, B at 2.8B; Ethayarajh et al. 2024: 5e-7 to 5e-6 at 1B to 30B; at 1M as ppo", Min = 0, Max = 1)]
    public double? LearningRate { get; init; }

    /// <summary>Rows computed at once; 0 for all.</summary>
    public abstract int MicroBatchSize { get; init; }

    [Hyperparameter("Passes over the training rows.", Unit = "epochs", Source = "Tunstall et al. 2023 (Zephyr): 1 to 3; Ethayarajh et al. 2024: 1", Min = 1, Max = 1000)]
    public int Epochs { get; init; } = 1;

    [Hyperparameter("Share of all steps in which the learning rate rises from zero.", Source = "Tunstall et al. 2023 (Zephyr)", Min = 0, Max = 1)]
    public double WarmupRatio { get; init; } = 0.1;

    [Hyperparameter("Longest allowed gradient; longer ones are scaled down.", Min = 1e-6, Max = 1e6)]
    public double MaxGradNorm { get; init; } = 1;

    [Hyperparameter("Steps between evaluations on the validation rows; 0 = once per epoch.", Unit = "steps", Min = 0, Max = 1_000_000)]
    public int EvalEvery { get; init; }

    [Hyperparameter("Steps between checkpoints.", Unit = "steps", Min = 1, Max = 1_000_000)]
    public int CheckpointEvery { get; init; } = 100;

    [Hyperparameter(Examples.OverlongHelp, Choices = ["error", "skip"])]
    public string Overlong { get; init; } = "error";
}

/// <summary>The steps of a stage that learns from preferences directly; the stage says what a batch's loss is.</summary>
internal static class PreferenceTraining
{
    /// <summary>A loss and its description in TRL's names.</summary>
    public readonly record struct Described(double Loss, Dictionary<string, double> Metrics);

    /// <summary>Adds the gradients of a step's rows, micro-batch by micro-batch. How they are divided decides nothing but what an adapter's dropout drops.</summary>
    /// <param name="model">The policy.</param>
    /// <param name="batch">The step's rows.</param>
    /// <param name="answers">The answers of a row.</param>
    /// <param name="loss">What some rows add to the loss of the step, from log π of their answers, row by row [answers].</param>
    /// <param name="microBatchSize">Most rows at once; 0 for all.</param>
    /// <param name="padId">What unused places hold.</param>
    /// <param name="seed">Seed of the step's dropout.</param>
    /// <param name="step">Number of the step, for errors.</param>
    /// <returns>The loss, and log π of every answer, row by row.</returns>
    /// <exception cref="NonFiniteException">The loss is not finite.</exception>
    public static (double Loss, float[] LogProbs) Backward<T>(CausalLm model, IReadOnlyCollection<T> batch, Func<T, IEnumerable<Sequence>> answers, Func<T[], Tensor, Tensor> loss,
        int microBatchSize, int padId, long seed, int step)
    {
        var total = 0.0;
        var logProbs = new List<float>();
        foreach (var (micro, part) in BatchPlan.MicroBatches(batch, microBatchSize).Index())
        {
            using var scope = NewDisposeScope();
            using var dropout = new Dropout(0, Seeds.Derive(seed, micro));
            var sums = AnswerLogProbs.Sums(model, [.. part.SelectMany(answers)], padId, dropout);
            var share = loss(part, sums);
            total += Finite.Loss(share, step);
            AutogradFunction.RunBackward(share);
            logProbs.AddRange(sums.detach().cpu().data<float>().ToArray());
        }
        return (total, [.. logProbs]);
    }

    /// <summary>Trains to the end and ends the run.</summary>
    /// <param name="run">The run.</param>
    /// <param name="folder">Folder of the base model.</param>
    /// <param name="model">The policy, which is the base model at first, with its adapter where it gets one.</param>
    /// <param name="settings">Hyperparameters.</param>
    /// <param name="batchSize">Rows per step.</param>
    /// <param name="rows">Longest sequence of each training row and the tokens it counts for.</param>
    /// <param name="subject">What is trained on what, for the log.</param>
    /// <param name="learn">Adds the gradients of a batch of row numbers, given the step's seed and its number from 1.</param>
    /// <param name="evaluate">Loss of the validation rows; null when there are none.</param>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run, string folder, CausalLm model, PreferenceHyperparameters settings, int batchSize, IReadOnlyList<(int Longest, long Tokens)> rows,
        string subject, Func<IReadOnlyList<int>, long, int, Described> learn, Func<Described>? evaluate)
    {
        var plan = new BatchPlan([.. rows.Select(r => r.Longest)], batchSize, run.Spec.Seed);
        var total = plan.StepsPerEpoch * settings.Epochs;
        var peak = settings.LearningRate ?? settings.Rate(LearningRates.Preference(model.ParameterCount));
        var schedule = new LearningRate(ScheduleKind.Cosine, peak, total, (long)Math.Ceiling(settings.WarmupRatio * total));
        using var optimizer = new AdamW(model.Trainable, new AdamWOptions(0.9, 0.95, 1e-8, 0, settings.MaxGradNorm));
        var evalEvery = settings.EvalEvery > 0 ? settings.EvalEvery : plan.StepsPerEpoch;

        var checkpoints = new RunCheckpoints(run, settings.CheckpointEvery, new Dictionary<string, IEnumerable<KeyValuePair<string, Tensor>>> { ["model"] = model.Trainable },
            new Dictionary<string, AdamW> { ["optimizer"] = optimizer });
        var (step, state) = checkpoints.Resume();
        var tokens = state["num_tokens"]?.GetValue<long>() ?? 0;
        run.Log($"{subject}: {total} steps of {batchSize}, learning rate {peak:G3}.");

        while (step < total)
        {
            run.Progress(step, total, "training");
            Dictionary<string, double> metrics;
            using (NewDisposeScope())
            {
                var batch = plan.Rows(step);
                var (loss, described) = learn(batch, Seeds.Derive(run.Spec.Seed, step, 3), step + 1);
                var learningRate = schedule.At(step);
                metrics = new Dictionary<string, double>(described)
                {
                    ["loss"] = loss,
                    ["grad_norm"] = optimizer.Step(learningRate),
                    ["lr"] = learningRate,
                    ["epoch"] = (step + 1.0) / plan.StepsPerEpoch,
                    ["num_tokens"] = tokens += batch.Sum(i => rows[i].Tokens),
                };
            }
            step++;
            if (evaluate is not null && (step % evalEvery == 0 || step == total))
            {
                run.Progress(step, total, "evaluating");
                using var scope = NewDisposeScope();
                var (loss, described) = evaluate();
                metrics["eval/loss"] = loss;
                foreach (var (name, value) in described)
                {
                    metrics["eval/" + name] = value;
                }
            }
            run.Metrics(step, metrics);
            checkpoints.AfterStep(step, total, () => new JsonObject { ["num_tokens"] = tokens });
        }
        run.Progress(total, total, "saving");
        run.WriteOutput(output => model.Save(output, folder));
        run.Finish(total, run.LastMetrics());
        run.Progress(total, total, "done");
    }
}
