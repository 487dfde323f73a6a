// Stage "sft": supervised fine-tuning on demonstrations, step 1 of InstructGPT (Ouyang et al. 2022, arXiv 2203.02155, sections 3.5, C.1).
//
// The model learns to continue each prompt with the labeler's answer: cross-entropy on the answer's tokens and the end token,
// none on the prompt. AdamW, cosine learning rate down to a tenth, no warm-up, 16 epochs, as in the paper.
//
// Deliberate deviations: no residual dropout (the paper has 0.2); the loss of a step is the mean over its answer tokens, so batches of short
// answers weigh each token more than batches of long ones; rows of similar length share a batch (BatchPlan).

using System.Text.Json.Nodes;
using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Optim;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.Sft;

/// <summary>Hyperparameters of the stage "sft".</summary>
public sealed record SftHyperparameters
{
    [Hyperparameter("Step size of learning. Absent: from the model's size, 1e-3 at 1M parameters falling to 9.65e-6 at 1.3B.",
        Source = "InstructGPT C.1 at 1.3B; tuned on the starter world at 1M", Min = 0, Max = 1)]
    public double? LearningRate { get; init; }

    [Hyperparameter("Passes over the demonstrations. Validation loss rises after the first few, yet answers keep getting better.",
        Unit = "epochs", Source = "InstructGPT C.1", Min = 1, Max = 10_000)]
    public int Epochs { get; init; } = 16;

    [Hyperparameter("Demonstrations per step. Absent: 32, or fewer when that would leave less than 100 steps.",
        Unit = "demonstrations", Source = "InstructGPT C.1", Min = 1, Max = 65_536)]
    public int? BatchSize { get; init; }

    [Hyperparameter("Share of the learning rate that is left at the end of the cosine.", Source = "InstructGPT C.1", Min = 0, Max = 1)]
    public double MinLearningRateRatio { get; init; } = 0.1;

    [Hyperparameter("Pull of the weights towards zero.", Source = "none in InstructGPT's SFT", Min = 0, Max = 10)]
    public double WeightDecay { get; init; }

    [Hyperparameter("Longest allowed gradient; longer ones are scaled down.", Source = "GPT-3, arXiv 2005.14165 B", Min = 1e-6, Max = 1e6)]
    public double MaxGradNorm { get; init; } = 1;

    [Hyperparameter(ComputePrecision.Help, Source = "arXiv 1710.03740", Choices = ["float32", "bfloat16"])]
    public string Precision { get; init; } = "float32";

    [Hyperparameter("Steps between evaluations on the validation rows; 0 = once per epoch.", Unit = "steps", Min = 0, Max = 1_000_000)]
    public int EvalEvery { get; init; }

    [Hyperparameter("Steps between checkpoints.", Unit = "steps", Min = 1, Max = 1_000_000)]
    public int CheckpointEvery { get; init; } = 100;

    [Hyperparameter(Examples.OverlongHelp, Choices = ["error", "skip"])]
    public string Overlong { get; init; } = "error";
}

/// <summary>Trains a policy on demonstrations.</summary>
public static class SftStage
{
    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">The run, its data or its base model cannot be used.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<SftHyperparameters>();
        var folder = run.Spec.RequireBase();
        run.Progress(0, 0, "loading");
        var chat = new ChatEncoder(folder);
        using var model = ModelFolder.Policy(folder, chat.Tokenizer);
        model.ComputeType = ComputePrecision.TypeOf(settings.Precision);
        var context = model.Config.MaxPositions;
        var train = Examples.Demonstrations(Rows.Demonstrations(run.Spec.DataOf("train"), run.Spec.File), chat, context, settings.Overlong, run);
        var valid = Examples.Demonstrations(Rows.Demonstrations(run.Spec.DataOf("valid"), run.Spec.File, required: false), chat, context, settings.Overlong, run);

        var batchSize = BatchPlan.SizeFor(settings.BatchSize, train.Count, settings.Epochs, paper: 32);
        var plan = new BatchPlan([.. train.Select(s => s.Ids.Length)], batchSize, run.Spec.Seed);
        var total = plan.StepsPerEpoch * settings.Epochs;
        var peak = settings.LearningRate ?? LearningRates.Sft(model.ParameterCount);
        var schedule = new LearningRate(ScheduleKind.Cosine, peak, total, FloorFraction: settings.MinLearningRateRatio);
        using var optimizer = new AdamW(model.Parameters, new AdamWOptions(0.9, 0.95, 1e-8, settings.WeightDecay, settings.MaxGradNorm));
        var evalEvery = settings.EvalEvery > 0 ? settings.EvalEvery : plan.StepsPerEpoch;

        var checkpoints = new RunCheckpoints(run, settings.CheckpointEvery, new Dictionary<string, IEnumerable<KeyValuePair<string, Tensor>>> { ["model"] = model.Parameters },
            new Dictionary<string, AdamW> { ["optimizer"] = optimizer });
        var (step, state) = checkpoints.Resume();
        var tokens = state["num_tokens"]?.GetValue<long>() ?? 0;
        run.Log($"SFT of {model.ParameterCount:N0} parameters on {train.Count} demonstrations ({valid.Count} for validation): {total} steps of {batchSize}, learning rate {peak:G3}.");

        var last = new Dictionary<string, double>();
        while (step < total)
        {
            run.Progress(step, total, "training");
            using (NewDisposeScope())
            {
                var batch = plan.Rows(step).Select(i => train[i]).ToList();
                var learningRate = schedule.At(step);
                var (loss, accuracy) = NextTokenLoss.Backward(model, batch, chat.PadId, accuracy: true);
                last = new Dictionary<string, double>
                {
                    ["loss"] = Finite.Loss(loss, step + 1),
                    ["mean_token_accuracy"] = accuracy,
                    ["grad_norm"] = optimizer.Step(learningRate),
                    ["lr"] = learningRate,
                    ["epoch"] = (step + 1.0) / plan.StepsPerEpoch,
                    ["num_tokens"] = tokens += batch.Sum(s => (long)s.Ids.Length),
                };
            }
            step++;
            if (valid.Count > 0 && (step % evalEvery == 0 || step == total))
            {
                run.Progress(step, total, "evaluating");
                (last["eval/loss"], last["eval/mean_token_accuracy"]) = Evaluate(model, valid, batchSize, chat.PadId);
            }
            run.Metrics(step, last);
            checkpoints.AfterStep(step, total, () => new JsonObject { ["num_tokens"] = tokens });
        }
        run.Progress(total, total, "saving");
        run.WriteOutput(output => model.Save(output, folder));
        run.Finish(total, run.LastMetrics());
        run.Progress(total, total, "done");
    }

    /// <summary>Mean loss and accuracy per supervised token over all rows.</summary>
    private static (double Loss, double Accuracy) Evaluate(CausalLm model, List<Sequence> rows, int batchSize, int padId)
    {
        double loss = 0, right = 0, count = 0;
        foreach (var indices in BatchPlan.InOrderOfLength([.. rows.Select(r => r.Ids.Length)], batchSize))
        {
            using var scope = NewDisposeScope();
            var batch = indices.Select(i => rows[i]).ToList();
            var (losses, accuracy) = NextTokenLoss.Evaluate(model, batch, padId, accuracy: true);
            var n = losses.shape[0];
            loss += losses.mean().item<float>() * (double)n;
            right += accuracy * n;
            count += n;
        }
        return (loss / count, right / count);
    }
}
