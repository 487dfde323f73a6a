// Stage "dpo": direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290), with IPO (Azar et al. 2023, arXiv 2310.12036) and conservative DPO
// (Mitchell 2023) as settings of its loss.
//
// No reward model and no sampling: the policy itself learns to find preferred answers likelier than rejected ones, each relative to the
// frozen base model. A ranking of K answers is ONE batch element: K forward passes give all C(K,2) comparisons, which are averaged, as in
// InstructGPT's reward model; ties are dropped. A chosen/rejected pair is a ranking with K = 2.
//
// The reference is the base model before the first step, so its log-probabilities are taken once, from the very weights that are then trained: there is
// no second model in memory, and passes after the first cost no reference. A new adapter changes nothing yet, so with one the reference is the base model too.
//
// Deliberate deviations: AdamW and a cosine after a linear warm-up (the paper: RMSprop, warm-up only); log-probabilities are sums over the
// answer for IPO too, as in its paper (TRL averages them over tokens, which changes what beta means).

using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.RewardModeling;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.DirectPreference;

/// <summary>Hyperparameters of the stage "dpo".</summary>
public sealed record DpoHyperparameters : PreferenceHyperparameters
{
    [Hyperparameter("dpo separates chosen from rejected answers without end; ipo aims at a difference of 1/(2 beta) nats and stops there, which over-fits less when people agree.",
        Source = "Rafailov et al. 2023; Azar et al. 2023", Choices = ["dpo", "ipo"])]
    public string Loss { get; init; } = "dpo";

    [Hyperparameter("Strength of the pull towards the base model; smaller values let the policy move further.", Unit = "reward per nat", Source = "Rafailov et al. 2023, B", Min = 1e-4, Max = 100)]
    public double Beta { get; init; } = 0.1;

    [Hyperparameter("Share of the preferences believed to be the wrong way round (conservative DPO); 0 trusts them all. Not with ipo.", Source = "Mitchell 2023", Min = 0, Max = 0.5)]
    public double LabelSmoothing { get; init; }

    [Hyperparameter("Reward difference asked for where a person called the best answer significantly better (strength 4); less in proportion for strengths 3 and 2, none for 1 or rows without strength. 0 = off.",
        Unit = "reward", Source = "Amini et al. 2024; levels of Llama 2", Min = 0, Max = 1000)]
    public double StrengthMargin { get; init; }

    [Hyperparameter("Rankings or pairs per step. Absent: 64, or fewer when that would leave less than 100 steps.", Unit = "rankings", Source = "Rafailov et al. 2023, B", Min = 1, Max = 65_536)]
    public int? BatchSize { get; init; }

    [Hyperparameter(RewardHyperparameters.MicroBatchHelp, Unit = "rankings", Min = 0, Max = 65_536)]
    public override int MicroBatchSize { get; init; }
}

/// <summary>Trains a policy on preferences directly.</summary>
public static class DpoStage
{
    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">The run, its preferences or its base model cannot be used.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<DpoHyperparameters>();
        if (settings is { Loss: "ipo", LabelSmoothing: > 0 })
        {
            throw new BadInputException($"{run.Spec.File}: hyperparameter 'label_smoothing' belongs to loss \"dpo\"; with \"ipo\" leave it at 0.");
        }
        var folder = run.Spec.RequireBase();
        run.Progress(0, 0, "loading");
        var chat = new ChatEncoder(folder);
        ModelFolder.RequirePadApart(chat.Tokenizer, folder);
        using var model = ModelFolder.Policy(folder, chat.Tokenizer);
        var train = Read(run, chat, model.Config.MaxPositions, "train", settings);
        var valid = Read(run, chat, model.Config.MaxPositions, "valid", settings);
        settings.AddLora(model.AddLora, run.Spec.Seed, run.Spec.File);

        var batchSize = BatchPlan.SizeFor(settings.BatchSize, train.Count, settings.Epochs, paper: 64);
        run.Progress(0, 0, "reference");
        foreach (var part in new[] { train, valid })
        {
            AddReference(model, part, batchSize, chat.PadId, run.Stop);
        }
        PreferenceTraining.Run(run, folder, model, settings, batchSize, [.. train.Select(r => (r.Longest, r.Answers.Sum(a => (long)a.Ids.Length)))],
            $"{settings.Loss.ToUpperInvariant()} of {model.ParameterCount:N0} parameters with beta {settings.Beta:G3} on {train.Count} rankings with {train.Sum(r => r.Pairs.Count)} comparisons ({valid.Count} rankings for validation)",
            (rows, seed, step) => Backward(model, [.. rows.Select(i => train[i])], settings, chat.PadId, seed, step),
            valid.Count == 0 ? null : () =>
            {
                var logProbs = AnswerLogProbs.Of(model, [.. valid.SelectMany(r => r.Answers)], batchSize, chat.PadId);
                return new(Loss(valid, tensor(logProbs), valid.Count, settings).item<float>(), Describe(valid, logProbs, settings));
            });
    }

    internal sealed record Comparison(Sequence[] Answers, List<RankedPair> Pairs, float[] Margins)
    {
        public int Longest { get; } = Answers.Max(a => a.Ids.Length);

        /// <summary>log π_ref of each answer.</summary>
        public float[] Reference { get; set; } = [];
    }

    private static List<Comparison> Read(RunFolder run, ChatEncoder chat, int context, string split, DpoHyperparameters settings)
    {
        var rows = PreferenceRows.Preferences(run.Spec.DataOf(split), run.Spec.File, required: split == "train");
        var all = Examples.Fitting(rows, r => r.Ranking.Where, row =>
        {
            int[] ranks = [.. row.Ranking.Completions.Select(c => c.Rank)];
            var pairs = RankingLoss.Pairs(ranks);
            return new Comparison([.. row.Ranking.Completions.Select(c => chat.Supervised(row.Ranking.Prompt, c.Message, row.Ranking.Where))],
                pairs, PreferenceLoss.Margins(ranks, pairs, row.Strength, settings.StrengthMargin));
        }, r => r.Longest, context, settings.Overlong, run);
        var usable = all.Where(r => r.Pairs.Count > 0).ToList();
        if (usable.Count < all.Count)
        {
            run.Log($"{all.Count - usable.Count} of {all.Count} rankings ({split}) are nothing but ties and teach nothing.");
        }
        return usable.Count > 0 || split == "valid" ? usable
            : throw new BadInputException($"{rows[0].Ranking.Where}: all {all.Count} training rankings are nothing but ties; there is no preference to learn. At least one must prefer an answer over another.");
    }

    private static void AddReference(CausalLm model, List<Comparison> rankings, int batchSize, int padId, CancellationToken stop)
    {
        var sums = AnswerLogProbs.Of(model, [.. rankings.SelectMany(r => r.Answers)], batchSize, padId, stop);
        var at = 0;
        foreach (var ranking in rankings)
        {
            ranking.Reference = sums[at..(at += ranking.Answers.Length)];
        }
    }

    /// <summary>Adds the gradients of a step's rankings; each counts the same, however they are divided into micro-batches.</summary>
    /// <param name="model">The policy.</param>
    /// <param name="batch">The step's rankings with their reference.</param>
    /// <param name="settings">Hyperparameters.</param>
    /// <param name="padId">What unused places hold.</param>
    /// <param name="seed">Seed of the step's dropout.</param>
    /// <param name="step">Number of the step, for errors.</param>
    internal static PreferenceTraining.Described Backward(CausalLm model, List<Comparison> batch, DpoHyperparameters settings, int padId, long seed, int step)
    {
        var (loss, logProbs) = PreferenceTraining.Backward(model, batch, r => r.Answers, (part, sums) => Loss(part, sums, batch.Count, settings), settings.MicroBatchSize, padId, seed, step);
        return new(loss, Describe(batch, logProbs, settings));
    }

    /// <summary>What some of a batch's rankings add to its loss.</summary>
    /// <param name="part">Rankings.</param>
    /// <param name="logProbs">log π of all their answers, ranking by ranking [answers].</param>
    /// <param name="rankings">Rankings of the whole batch.</param>
    /// <param name="settings">Hyperparameters.</param>
    private static Tensor Loss(IReadOnlyList<Comparison> part, Tensor logProbs, int rankings, DpoHyperparameters settings) =>
        PreferenceLoss.Compute(logProbs - tensor(part.SelectMany(r => r.Reference).ToArray()), Pairs(part), [.. part.SelectMany(r => r.Margins)], rankings,
            settings.Beta, settings.Loss, settings.LabelSmoothing);

    /// <summary>A batch in TRL's names; means run over comparisons.</summary>
    private static Dictionary<string, double> Describe(IReadOnlyList<Comparison> batch, float[] logProbs, DpoHyperparameters settings)
    {
        var pairs = Pairs(batch);
        var rewards = logProbs.Zip(batch.SelectMany(r => r.Reference), (p, r) => settings.Beta * (p - r)).ToArray();
        return new()
        {
            ["rewards/chosen"] = pairs.Average(p => rewards[p.Better]),
            ["rewards/rejected"] = pairs.Average(p => rewards[p.Worse]),
            ["rewards/margins"] = pairs.Average(p => rewards[p.Better] - rewards[p.Worse]),
            ["rewards/accuracies"] = pairs.Average(p => rewards[p.Better] > rewards[p.Worse] ? 1.0 : 0),
            ["logps/chosen"] = pairs.Average(p => (double)logProbs[p.Better]),
            ["logps/rejected"] = pairs.Average(p => (double)logProbs[p.Worse]),
        };
    }

    /// <summary>All comparisons of some rankings, between the places of their answers one ranking after the other.</summary>
    private static List<RankedPair> Pairs(IReadOnlyList<Comparison> rankings)
    {
        var pairs = new List<RankedPair>();
        var offset = 0;
        foreach (var ranking in rankings)
        {
            pairs.AddRange(ranking.Pairs.Select(p => p with { Better = p.Better + offset, Worse = p.Worse + offset }));
            offset += ranking.Answers.Length;
        }
        return pairs;
    }
}
