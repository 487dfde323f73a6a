// Stage "sft": supervised fine-tuning on demonstrations, step 1 of InstructGPT (Ouyang et al. 2022, arXiv 2203.02155, sections 3.5, C.1).
//
// The model learns to continue each prompt with the labeler's answer: cross-entropy on the answer's tokens and the end token,
// none on the prompt. AdamW, cosine learning rate down to a tenth, no warm-up, 16 epochs, as in the paper. Raw text can be mixed in, as the paper
// does for the policy that PPO starts from (section C.3).
//
// However a step is calculated - in micro-batches, padded or packed - its loss is the mean over all its answer tokens.
//
// Deliberate deviations: residual dropout is off unless asked for (the paper has 0.2); as the mean runs over tokens, batches of short answers
// weigh each token more than batches of long ones; rows of similar length share a batch (BatchPlan) unless they are packed; mixed-in text has a fixed weight in
// the loss rather than a share of the rows, so that long texts do not drown short answers.

using System.Text.Json.Nodes;
using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Optim;
using Labeling.Training.Pretraining;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.Sft;

/// <summary>Hyperparameters of the stage "sft".</summary>
public sealed record SftHyperparameters : LoraDropoutHyperparameters
{
    [Hyperparameter("Step size of learning. Absent: from the model's size, 1e-3 at 1M parameters falling to 9.65e-6 at 1.3B.",
        Source = "InstructGPT C.1 at 1.3B; what the demo learns with at 1M", Min = 0, Max = 1)]
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

    [Hyperparameter("What is learned from a row of several turns (messages): split makes each assistant turn a demonstration of its own; all learns every assistant turn in one pass, which computes each token once; last learns the last assistant turn only.",
        Choices = ["split", "all", "last"])]
    public string Conversations { get; init; } = "split";

    [Hyperparameter("Share of what attention and feed-forward add that is dropped at random in training. Helps when the demonstrations are few and the epochs many.", Source = "InstructGPT C.1: 0.2", Min = 0, Max = 0.9)]
    public double Dropout { get; init; }

    [Hyperparameter("Lay the short demonstrations of a step side by side in rows as long as its longest, so that little is computed on padding even though every step takes demonstrations of all lengths. What each row learns stays the same.", Source = "Krell et al. 2021, arXiv 2107.02027")]
    public bool Packing { get; init; }

    [Hyperparameter("Demonstrations" + BatchPlan.MicroBatchHelp, Unit = "demonstrations", Min = 0, Max = 65_536)]
    public int MicroBatchSize { get; init; }

    [Hyperparameter("Weight of raw text in the loss, next-token prediction on the data files with the split pretrain; keeps what the model knew. 0 = none.", Source = "InstructGPT C.3: 0.1", Min = 0, Max = 0.99)]
    public double PretrainingMix { get; init; }

    [Hyperparameter("Sequences of raw text per step. Only with pretraining_mix.", Unit = "sequences", Min = 1, Max = 65_536)]
    public int PretrainingBatchSize { get; init; } = 4;
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
        ModelFolder.RequirePadApart(chat.Tokenizer, folder);
        using var model = ModelFolder.Policy(folder, chat.Tokenizer);
        model.ComputeType = ComputePrecision.TypeOf(settings.Precision);
        var context = model.Config.MaxPositions;
        List<Sequence> Read(string split, bool required) => Examples.Demonstrations(
            Rows.Demonstrations(run.Spec.DataOf(split), run.Spec.File, required, settings.Conversations), chat, context, settings.Overlong, run);
        var train = Read("train", required: true);
        var valid = Read("valid", required: false);
        var text = PretrainingText(run, settings, chat, context);
        settings.AddLora(model.AddLora, run.Spec.Seed, run.Spec.File);

        var batchSize = BatchPlan.SizeFor(settings.BatchSize, train.Count, settings.Epochs, paper: 32);
        var plan = new BatchPlan([.. train.Select(s => settings.Packing ? 1 : s.Ids.Length)], batchSize, run.Spec.Seed);
        var total = plan.StepsPerEpoch * settings.Epochs;
        var peak = settings.LearningRate ?? settings.Rate(LearningRates.Sft(model.ParameterCount));
        var schedule = new LearningRate(ScheduleKind.Cosine, peak, total, FloorFraction: settings.MinLearningRateRatio);
        using var optimizer = new AdamW(model.Trainable, new AdamWOptions(0.9, 0.95, 1e-8, settings.WeightDecay, settings.MaxGradNorm));
        var evalEvery = settings.EvalEvery > 0 ? settings.EvalEvery : plan.StepsPerEpoch;

        var checkpoints = new RunCheckpoints(run, settings.CheckpointEvery, new Dictionary<string, IEnumerable<KeyValuePair<string, Tensor>>> { ["model"] = model.Trainable },
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
                var seed = Seeds.Derive(run.Spec.Seed, step, 3);
                var (loss, accuracy) = Backward(model, batch, settings, chat.PadId, seed, step + 1);
                var learningRate = schedule.At(step);
                last = new Dictionary<string, double> { ["loss"] = loss, ["mean_token_accuracy"] = accuracy };
                if (text is not null)
                {
                    last["pretraining_loss"] = BackwardText(model, text.Batch(step), settings, chat.PadId, Seeds.Derive(seed, -1), step + 1);
                }
                last["grad_norm"] = optimizer.Step(learningRate);
                last["lr"] = learningRate;
                last["epoch"] = (step + 1.0) / plan.StepsPerEpoch;
                last["num_tokens"] = tokens += batch.Sum(s => (long)s.Ids.Length);
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

    /// <summary>
    /// Adds the gradients of a step's demonstrations; loss and accuracy are means over all their supervised tokens, however they are divided
    /// into micro-batches and laid out in rows.
    /// </summary>
    /// <param name="model">The policy.</param>
    /// <param name="batch">The step's demonstrations.</param>
    /// <param name="settings">How to calculate: micro-batches, packing, dropout, and the weight of the loss.</param>
    /// <param name="padId">What unused places hold.</param>
    /// <param name="seed">Seed of the step's dropout.</param>
    /// <param name="step">Number of the step, for errors.</param>
    internal static (double Loss, double Accuracy) Backward(CausalLm model, List<Sequence> batch, SftHyperparameters settings, int padId, long seed, int step)
    {
        var supervised = (double)batch.Sum(s => s.Supervised);
        double loss = 0, accuracy = 0;
        foreach (var (micro, rows) in BatchPlan.MicroBatches(batch, settings.MicroBatchSize).Index())
        {
            using var scope = NewDisposeScope();
            using var dropout = new Dropout(settings.Dropout, Seeds.Derive(seed, micro));
            var packed = settings.Packing ? Data.Packing.Rows(rows) : null;
            var targets = TokenBatch.Targets(packed is null ? rows : [.. packed.SelectMany(r => r)]);
            var hidden = packed is null ? TokenBatch.Hidden(model, rows, padId, dropout) : Data.Packing.Hidden(model, packed, padId, dropout);
            var share = rows.Sum(s => s.Supervised) / supervised;
            var (mean, right) = NextTokenLoss.Backward(model, hidden, targets, share * (1 - settings.PretrainingMix));
            loss += Finite.Loss(mean, step) * share;
            accuracy += right * share;
        }
        return (loss, accuracy);
    }

    private static double BackwardText(CausalLm model, List<Sequence> batch, SftHyperparameters settings, int padId, long seed, int step)
    {
        using var dropout = new Dropout(settings.Dropout, seed);
        var (mean, _) = NextTokenLoss.Backward(model, TokenBatch.Hidden(model, batch, padId, dropout), TokenBatch.Targets(batch), settings.PretrainingMix);
        return Finite.Loss(mean, step, "loss on raw text");
    }

    private static PackedText? PretrainingText(RunFolder run, SftHyperparameters settings, ChatEncoder chat, int context)
    {
        if (settings.PretrainingMix == 0)
        {
            return null;
        }
        var texts = Rows.Texts(run.Spec.DataOf("pretrain"), run.Spec.File, required: false);
        return texts.Count > 0
            ? new PackedText([.. texts.Select(text => (int[])[.. chat.Tokenizer.Encode(text), chat.EosId])], context, settings.PretrainingBatchSize, Seeds.Derive(run.Spec.Seed, -3))
            : throw new BadInputException($"{run.Spec.File}: pretraining_mix is {settings.PretrainingMix}, but there are no rows of raw text: add a data file of {{\"text\": ...}} rows with the split 'pretrain', or set pretraining_mix to 0.");
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
