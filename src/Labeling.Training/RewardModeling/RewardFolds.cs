using System.Text.Json;
using Labeling.Training.Models;
using Labeling.Training.Runs;

namespace Labeling.Training.RewardModeling;

/// <summary>A line of folds.jsonl: a model that learned from all labelers but one group.</summary>
/// <param name="Spec">Hash of the run.json it was made under.</param>
/// <param name="Fold">Number of the fold, from 1.</param>
/// <param name="HeldOutLabelers">The labelers it has never seen.</param>
/// <param name="Rankings">Rankings it learned from.</param>
/// <param name="TrainLabelersAccuracy">Share of the judged comparisons by labelers it learned from that it puts in their order; null when there are none.</param>
/// <param name="HeldOutLabelersAccuracy">The same for the labelers it has never seen.</param>
public sealed record LabelerFold(string Spec, int Fold, string[] HeldOutLabelers, int Rankings, double? TrainLabelersAccuracy, double? HeldOutLabelersAccuracy);

/// <summary>
/// How well reward models predict people they have not learned from (Ouyang et al. 2022, arXiv 2203.02155, sections 4.1 and E.2: 72.4 % for labelers
/// of the training set, 69.6 % for held-out ones, five groups). All are judged on prompts no fold learns from: the validation rankings, or
/// a tenth of the training prompts where there are none. A fold that was interrupted begins again; finished ones stay in folds.jsonl.
/// </summary>
internal static class RewardFolds
{
    private const string FileName = "folds.jsonl";

    /// <summary>Trains and judges every fold.</summary>
    /// <param name="run">The run.</param>
    /// <param name="settings">Hyperparameters; everything but <c>keep</c> applies to the folds too.</param>
    /// <param name="newModel">Makes an untrained reward model from a seed.</param>
    /// <param name="train">Training rankings.</param>
    /// <param name="valid">Validation rankings.</param>
    /// <param name="padId">What unused places of a batch hold.</param>
    /// <returns>The figures by metric name.</returns>
    /// <exception cref="BadInputException">A ranking does not say who made it, or they are all by one labeler.</exception>
    public static Dictionary<string, double> Run(RunFolder run, RewardHyperparameters settings, Func<long, RewardModel> newModel, List<Ranking> train, List<Ranking> valid, int padId)
    {
        var seed = Seeds.Derive(run.Spec.Seed, -4);
        var groups = Groups(train, valid, settings.LabelerFolds, seed, run);
        var (learned, judged) = Divide(train, valid, seed);
        var spec = RunCheckpoints.Fingerprint(run.Spec.File);
        var folds = Finished(run, spec);
        for (var fold = folds.Count + 1; fold <= groups.Count; fold++)
        {
            var heldOut = groups[fold - 1];
            bool Known(Ranking ranking) => !heldOut.Contains(ranking.Row.Labeler!);
            var rankings = learned.Where(r => Known(r) && r.Pairs.Count > 0).ToList();
            if (rankings.Count == 0)
            {
                throw new BadInputException($"{run.Spec.File}: without the labelers {string.Join(", ", heldOut)} no ranking with a preference is left to learn from. Set labeler_folds to 0, or gather rankings by more people.");
            }
            using var model = newModel(Seeds.Derive(seed, fold));
            Train(model, rankings, settings, padId, Seeds.Derive(seed, fold, 1), run, $"fold {fold} of {groups.Count}");
            double? Accuracy(IEnumerable<Ranking> of) => of.ToList() is { Count: > 0 } list ? Rankings.Evaluate(list, Rankings.ScoreAll(model, list, 64, padId))?.Accuracy : null;
            var done = new LabelerFold(spec, fold, heldOut, rankings.Count, Accuracy(judged.Where(Known)), Accuracy(judged.Where(r => !Known(r))));
            run.AppendRows(FileName, [done]);
            folds.Add(done);
            run.Log($"Fold {fold} of {groups.Count}, without {heldOut.Length} labelers: accuracy {Percent(done.TrainLabelersAccuracy)} on labelers it learned from, {Percent(done.HeldOutLabelersAccuracy)} on those held out.");
        }
        var figures = Figures(folds);
        run.Log($"Labelers learned from: {Interval(figures, "train_labelers")}; held-out labelers: {Interval(figures, "heldout_labelers")} (mean and standard error of {folds.Count} folds).");
        return figures;
    }

    private static void Train(RewardModel model, List<Ranking> rankings, RewardHyperparameters settings, int padId, long seed, RunFolder run, string phase)
    {
        using var training = new RewardTraining(model, rankings, settings, padId, seed);
        for (var step = 0; step < training.Steps; step++)
        {
            run.Progress(step, training.Steps, phase);
            training.Step(step);
            if (run.Stop.IsCancellationRequested)
            {
                throw new RunStoppedException($"Stopped in {phase}; the finished folds are kept and the same command goes on after them.");
            }
        }
    }

    /// <summary>The labelers in a random order, dealt into groups of equal size.</summary>
    private static List<string[]> Groups(List<Ranking> train, List<Ranking> valid, int folds, long seed, RunFolder run)
    {
        var all = train.Concat(valid).ToList();
        if (all.Find(r => r.Row.Labeler is null) is { } nameless)
        {
            throw new BadInputException($"{nameless.Row.Where}: the ranking does not say who made it. labeler_folds needs the field 'labeler' in every row; add it, or set labeler_folds to 0.");
        }
        var labelers = all.Select(r => r.Row.Labeler!).Distinct().Order(StringComparer.Ordinal).ToArray();
        if (labelers.Length < 2 || folds < 2)
        {
            throw new BadInputException(labelers.Length < 2
                ? $"{run.Spec.File}: labeler_folds is {folds}, but all {all.Count} rankings are by one labeler, '{labelers[0]}': there is nobody to hold out. Set labeler_folds to 0, or gather rankings by more people."
                : $"{run.Spec.File}: labeler_folds is {folds}; it takes at least 2 groups, or 0 for none.");
        }
        if (labelers.Length < folds)
        {
            run.Log($"There are {labelers.Length} labelers, so {labelers.Length} folds instead of {folds}: each holds out one.");
            folds = labelers.Length;
        }
        var order = Seeds.Permutation(labelers.Length, Seeds.Derive(seed, 0));
        return [.. Enumerable.Range(0, folds).Select(f => order.Where((_, i) => i % folds == f).Select(i => labelers[i]).ToArray())];
    }

    private static (List<Ranking> Learned, List<Ranking> Judged) Divide(List<Ranking> train, List<Ranking> valid, long seed)
    {
        if (valid.Any(r => r.Strict > 0))
        {
            return (train, valid);
        }
        static string Prompt(Ranking ranking) => JsonSerializer.Serialize(ranking.Row.Prompt);
        var prompts = train.Select(Prompt).Distinct().ToList();
        var held = Seeds.Permutation(prompts.Count, Seeds.Derive(seed, 1)).Take(Math.Max(1, prompts.Count / 10)).Select(i => prompts[i]).ToHashSet();
        return (train.Where(r => !held.Contains(Prompt(r))).ToList(), train.Where(r => held.Contains(Prompt(r))).ToList());
    }

    /// <summary>Folds of an earlier start of the same run; those of another run.json are dropped.</summary>
    private static List<LabelerFold> Finished(RunFolder run, string spec)
    {
        var path = run.In(FileName);
        var folds = new List<LabelerFold>();
        foreach (var line in File.Exists(path) ? File.ReadAllLines(path) : [])
        {
            LabelerFold? fold;
            try
            {
                fold = JsonSerializer.Deserialize<LabelerFold>(line, RunFolder.Compact);
            }
            catch (JsonException)
            {
                // A kill cut the line off.
                break;
            }
            if (fold?.Spec != spec || fold.Fold != folds.Count + 1)
            {
                break;
            }
            folds.Add(fold);
        }
        File.Delete(path);
        run.AppendRows(FileName, folds);
        return folds;
    }

    private static Dictionary<string, double> Figures(List<LabelerFold> folds)
    {
        var figures = new Dictionary<string, double>();
        foreach (var (name, of) in new (string, Func<LabelerFold, double?>)[] { ("train_labelers", f => f.TrainLabelersAccuracy), ("heldout_labelers", f => f.HeldOutLabelersAccuracy) })
        {
            var values = folds.Select(of).OfType<double>().ToList();
            if (values.Count > 0)
            {
                figures[$"folds/{name}_accuracy"] = values.Average();
            }
            if (values.Count > 1)
            {
                var mean = values.Average();
                figures[$"folds/{name}_accuracy_se"] = Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / (values.Count - 1) / values.Count);
            }
            foreach (var fold in folds)
            {
                if (of(fold) is { } accuracy)
                {
                    figures[$"folds/{fold.Fold}/{name}_accuracy"] = accuracy;
                }
            }
        }
        return figures;
    }

    private static string Percent(double? share) => share is { } value ? FormattableString.Invariant($"{100 * value:F1} %") : "unknown";

    private static string Interval(Dictionary<string, double> figures, string name) => figures.TryGetValue($"folds/{name}_accuracy", out var mean)
        ? FormattableString.Invariant($"{100 * mean:F1} ± {100 * figures.GetValueOrDefault($"folds/{name}_accuracy_se"):F1} %")
        : "unknown, as none of the judged rankings is by them";
}
