// Stage "kto": Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv 2402.01306): learns from single answers that are wanted or not, without pairs.
//
// Each answer's reward is its log-ratio to the frozen base model. It is compared with a reference point z0, the divergence the policy has anyway, and only
// what lies above (wanted) or below it (not wanted) counts, with saturation at both ends. z0 is estimated in every batch from mismatched pairs, each prompt
// with the answer of another prompt, and is never below 0. Rankings and pairs are rows too: their best answers are wanted, their worst are not.
//
// As in the stage "dpo", the reference is the base model before the first step and is asked once, for matched and mismatched pairs alike; so a row
// keeps its mismatched answer for the whole run. Nothing is learned from mismatched pairs, so an adapter's dropout does not touch them.
//
// Deliberate deviations: the mismatched answer is one of all rows, not only of the batch, so a last batch of one row works too; where prompt and
// mismatched answer are longer than the context, the answer is cut.

using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.DirectPreference;

/// <summary>Hyperparameters of the stage "kto".</summary>
public sealed record KtoHyperparameters : PreferenceHyperparameters
{
    [Hyperparameter("Strength of the pull towards the base model; smaller values let the policy move further.", Unit = "reward per nat", Source = "Ethayarajh et al. 2024", Min = 1e-4, Max = 100)]
    public double Beta { get; init; } = 0.1;

    [Hyperparameter("Weight of wanted answers. Where they are rarer than unwanted ones, raise it until weight times count is about as large as on the other side.", Source = "Ethayarajh et al. 2024, eq. 9", Min = 0, Max = 1000)]
    public double DesirableWeight { get; init; } = 1;

    [Hyperparameter("Weight of unwanted answers; see desirable_weight.", Source = "Ethayarajh et al. 2024, eq. 9", Min = 0, Max = 1000)]
    public double UndesirableWeight { get; init; } = 1;

    [Hyperparameter("Answers per step; a reference point needs a few. Absent: 32, or fewer when that would leave less than 100 steps.", Unit = "answers", Source = "Ethayarajh et al. 2024", Min = 2, Max = 65_536)]
    public int? BatchSize { get; init; }

    [Hyperparameter("Answers" + BatchPlan.MicroBatchHelp, Unit = "answers", Min = 0, Max = 65_536)]
    public override int MicroBatchSize { get; init; }
}

/// <summary>Trains a policy on single judged answers.</summary>
public static class KtoStage
{
    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">The run, its rows or its base model cannot be used.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<KtoHyperparameters>();
        var folder = run.Spec.RequireBase();
        run.Progress(0, 0, "loading");
        var chat = new ChatEncoder(folder);
        ModelFolder.RequirePadApart(chat.Tokenizer, folder);
        using var model = ModelFolder.Policy(folder, chat.Tokenizer);
        var train = Read(run, chat, model.Config.MaxPositions, "train", settings.Overlong);
        var valid = Read(run, chat, model.Config.MaxPositions, "valid", settings.Overlong);
        settings.AddLora(model.AddLora, run.Spec.Seed, run.Spec.File);
        var wanted = train.Count(r => r.Desirable);

        var batchSize = BatchPlan.SizeFor(settings.BatchSize, train.Count, settings.Epochs, paper: 32);
        run.Progress(0, 0, "reference");
        foreach (var part in new[] { train, valid })
        {
            var reference = AnswerLogProbs.Of(model, Both(part), batchSize, chat.PadId, run.Stop);
            for (var i = 0; i < part.Count; i++)
            {
                (part[i].Reference, part[i].MismatchedReference) = (reference[i], reference[part.Count + i]);
            }
        }
        PreferenceTraining.Run(run, folder, model, settings, batchSize, [.. train.Select(r => (r.Longest, (long)r.Answer.Ids.Length))],
            $"KTO of {model.ParameterCount:N0} parameters with beta {settings.Beta:G3} on {wanted} wanted and {train.Count - wanted} unwanted answers ({valid.Count} for validation)",
            (rows, seed, step) => Backward(model, [.. rows.Select(i => train[i])], settings, chat.PadId, seed, step),
            valid.Count == 0 ? null : () =>
            {
                var sums = AnswerLogProbs.Of(model, Both(valid), batchSize, chat.PadId);
                var (logProbs, z0) = (sums[..valid.Count], ReferencePoint(valid, sums[valid.Count..]));
                return new(Loss(valid, tensor(logProbs), z0, valid.Count, settings).item<float>(), Describe(valid, logProbs, z0, settings));
            });
    }

    internal sealed record Judged(Sequence Answer, bool Desirable, Sequence Mismatched)
    {
        public int Longest { get; } = Math.Max(Answer.Ids.Length, Mismatched.Ids.Length);

        /// <summary>log π_ref of the answer.</summary>
        public float Reference { get; set; }

        /// <summary>log π_ref of the mismatched answer.</summary>
        public float MismatchedReference { get; set; }
    }

    private static List<Judged> Read(RunFolder run, ChatEncoder chat, int context, string split, string overlong)
    {
        var rows = Examples.Fitting(PreferenceRows.Unpaired(run.Spec.DataOf(split), run.Spec.File, required: split == "train"), r => r.Where,
            row => (Answer: chat.Supervised(row.Prompt, row.Completion, row.Where), row.Desirable), r => r.Answer.Ids.Length, context, overlong, run);
        var mismatched = KtoPairs.Mismatch([.. rows.Select(r => r.Answer)], context, Seeds.Derive(run.Spec.Seed, -2));
        if (mismatched is null)
        {
            throw new BadInputException($"{run.Spec.File}: the {rows.Count} rows of the split '{split}' have one and the same prompt. KTO measures its reference point with answers to other prompts; at least two different prompts are needed.");
        }
        return [.. rows.Zip(mismatched, (row, other) => new Judged(row.Answer, row.Desirable, other))];
    }

    /// <summary>All answers, then all mismatched answers.</summary>
    private static List<Sequence> Both(List<Judged> rows) => [.. rows.Select(r => r.Answer), .. rows.Select(r => r.Mismatched)];

    /// <summary>Adds the gradients of a step's answers; loss and reference point are those of the whole batch, however it is divided into micro-batches.</summary>
    /// <param name="model">The policy.</param>
    /// <param name="batch">The step's rows with their reference.</param>
    /// <param name="settings">Hyperparameters.</param>
    /// <param name="padId">What unused places hold.</param>
    /// <param name="seed">Seed of the step's dropout.</param>
    /// <param name="step">Number of the step, for errors.</param>
    internal static PreferenceTraining.Described Backward(CausalLm model, List<Judged> batch, KtoHyperparameters settings, int padId, long seed, int step)
    {
        var z0 = ReferencePoint(batch, AnswerLogProbs.Of(model, [.. batch.Select(r => r.Mismatched)], settings.MicroBatchSize > 0 ? settings.MicroBatchSize : batch.Count, padId));
        var (loss, logProbs) = PreferenceTraining.Backward(model, batch, r => [r.Answer], (part, sums) => Loss(part, sums, z0, batch.Count, settings), settings.MicroBatchSize, padId, seed, step);
        return new(loss, Describe(batch, logProbs, z0, settings));
    }

    /// <summary>z0 of a batch from log π of its mismatched answers.</summary>
    private static double ReferencePoint(IReadOnlyList<Judged> batch, float[] mismatched) => KtoLoss.ReferencePoint([.. mismatched.Zip(batch, (p, r) => p - r.MismatchedReference)]);

    /// <summary>What some of a batch's answers add to its loss.</summary>
    /// <param name="part">Rows.</param>
    /// <param name="logProbs">log π of their answers [rows].</param>
    /// <param name="z0">Reference point of the batch.</param>
    /// <param name="rows">Rows of the whole batch.</param>
    /// <param name="settings">Hyperparameters.</param>
    private static Tensor Loss(IReadOnlyList<Judged> part, Tensor logProbs, double z0, int rows, KtoHyperparameters settings) =>
        KtoLoss.Compute(logProbs - tensor(part.Select(r => r.Reference).ToArray()), [.. part.Select(r => r.Desirable)], z0, settings.Beta, settings.DesirableWeight, settings.UndesirableWeight)
            * ((double)part.Count / rows);

    /// <summary>A batch in TRL's names.</summary>
    private static Dictionary<string, double> Describe(IReadOnlyList<Judged> batch, float[] logProbs, double z0, KtoHyperparameters settings)
    {
        var described = new Dictionary<string, double> { ["kl"] = z0 };
        foreach (var (name, kind) in batch.Zip(logProbs).GroupBy(x => x.First.Desirable).OrderByDescending(g => g.Key).Select(g => (g.Key ? "chosen" : "rejected", g.ToList())))
        {
            described["rewards/" + name] = kind.Average(x => settings.Beta * (x.Second - x.First.Reference));
            described["logps/" + name] = kind.Average(x => (double)x.Second);
        }
        if (described.TryGetValue("rewards/chosen", out var chosen) && described.TryGetValue("rewards/rejected", out var rejected))
        {
            described["rewards/margins"] = chosen - rejected;
        }
        return described;
    }
}
