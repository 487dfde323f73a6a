// Stage "filter": keeps the raw rows that look like good ones, as GPT-3's training text was chosen (Brown et al. 2020, arXiv 2005.14165, appendix A).
//
// A logistic regression over hashed word n-grams learns to tell rows of split "good" (books, an encyclopedia, answers people liked) from rows of
// split "train" (raw text). A raw row is kept when a Pareto draw with alpha = 9 is above 1 - score: nearly always when it looks good, and now and
// then when it does not, so that the text stays varied. A plain threshold can be asked for instead.
//
// Deliberate deviations: features are log-counts of length 1 instead of raw counts; the classes weigh the same; and no row is scored by a classifier that has
// seen it. Both splits are halved, each half is scored by the classifier of the other, so a good row among the raw ones is not remembered as raw, and
// the reported area under the curve is an honest one.

using Labeling.Training.Data;
using Labeling.Training.Runs;

namespace Labeling.Training.Pretraining;

/// <summary>Hyperparameters of the stage "filter".</summary>
public sealed record FilterHyperparameters
{
    [Hyperparameter("pareto keeps a row when a random draw is above 1 - score; threshold keeps every row with at least that score.", Source = "GPT-3 A: pareto", Choices = ["pareto", "threshold"])]
    public string Rule { get; init; } = "pareto";

    [Hyperparameter("Shape of the draw: the larger, the fewer rows that do not look good are kept. A row with score 0 is kept once in 2^alpha.", Source = "GPT-3 A", Min = 0.1, Max = 100)]
    public double ParetoAlpha { get; init; } = 9;

    [Hyperparameter("Least score of a row that is kept, with the rule threshold.", Min = 0, Max = 1)]
    public double Threshold { get; init; } = 0.5;

    [Hyperparameter("Rows are judged by all grams of 1 to this many words.", Unit = "words", Min = 1, Max = 8)]
    public int NgramWords { get; init; } = 2;

    [Hyperparameter("Size of the classifier: 2 to this power places for grams.", Unit = "bits", Source = "HashingTF of Spark, which GPT-3 used: 18", Min = 8, Max = 28)]
    public int HashBits { get; init; } = 18;

    [Hyperparameter("Passes of the classifier over the rows.", Unit = "epochs", Min = 1, Max = 1000)]
    public int Epochs { get; init; } = 5;
}

/// <summary>Filters raw text by quality.</summary>
public static class FilterStage
{
    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">Rows of one of the two splits are missing, or a bad row.</exception>
    /// <exception cref="RunStoppedException">Asked to stop.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<FilterHyperparameters>();
        run.Progress(0, 1, "reading");
        var good = Rows.TextLines(run.Spec.DataOf("good"), run.Spec.File, required: false);
        var raw = Rows.TextLines(run.Spec.DataOf("train"), run.Spec.File);
        if (good.Count < 2 || raw.Count < 2)
        {
            throw new BadInputException($"{run.Spec.File}: 'filter' needs at least 2 rows with the split 'good', examples of what should be kept, and 2 with the split 'train', the text to filter; it has {good.Count} and {raw.Count}.");
        }
        run.Progress(0, 1, "scoring");
        var goodScores = new double[good.Count];
        var scores = new double[raw.Count];
        var goodFeatures = Features(good, settings, run);
        var rawFeatures = Features(raw, settings, run);
        for (var half = 0; half < 2; half++)
        {
            var (goodLearned, goodScored) = Halves(good.Count, half, Seeds.Derive(run.Spec.Seed, 0));
            var (rawLearned, rawScored) = Halves(raw.Count, half, Seeds.Derive(run.Spec.Seed, 1));
            var classifier = QualityClassifier.Train([.. goodLearned.Select(i => goodFeatures[i])], [.. rawLearned.Select(i => rawFeatures[i])],
                settings.HashBits, settings.Epochs, Seeds.Derive(run.Spec.Seed, 2, half));
            CleanedText.StopIfAsked(run);
            foreach (var i in goodScored)
            {
                goodScores[i] = classifier.Score(goodFeatures[i]);
            }
            foreach (var i in rawScored)
            {
                scores[i] = classifier.Score(rawFeatures[i]);
            }
        }

        var dropped = new DroppedRow?[raw.Count];
        double expected = 0;
        for (var i = 0; i < raw.Count; i++)
        {
            if (settings.Rule == "threshold")
            {
                expected += scores[i] >= settings.Threshold ? 1 : 0;
                dropped[i] = scores[i] >= settings.Threshold ? null : new DroppedRow(raw[i].Where, "quality", scores[i]);
                continue;
            }
            // P(draw > x) = (1 + x)^-alpha.
            var draw = Math.Pow(Uniform(Seeds.Derive(run.Spec.Seed, 3, i)), -1 / settings.ParetoAlpha) - 1;
            expected += Math.Pow(2 - scores[i], -settings.ParetoAlpha);
            dropped[i] = draw > 1 - scores[i] ? null : new DroppedRow(raw[i].Where, "quality", scores[i], draw);
        }
        CleanedText.Finish(run, raw, dropped, new Dictionary<string, double>
        {
            ["auc"] = AreaUnderCurve(goodScores, scores),
            ["mean_score_good"] = goodScores.Average(),
            ["mean_score"] = scores.Average(),
            ["expected_kept"] = expected,
        });
    }

    private static List<HashedFeatures> Features(List<TextLine> rows, FilterHyperparameters settings, RunFolder run)
    {
        CleanedText.StopIfAsked(run);
        return [.. rows.Select(r => HashedFeatures.Of(r.Text, settings.NgramWords, settings.HashBits))];
    }

    /// <summary>Row numbers to learn from and row numbers to score, swapped in the second half.</summary>
    private static (int[] Learned, int[] Scored) Halves(int count, int half, long seed)
    {
        var order = Seeds.Permutation(count, seed);
        return half == 0 ? (order[..(count / 2)], order[(count / 2)..]) : (order[(count / 2)..], order[..(count / 2)]);
    }

    /// <summary>A number in (0, 1] from a seed.</summary>
    private static double Uniform(long seed) => ((seed >> 10) + 1) / (double)(1L << 53);

    /// <summary>Probability that a good row scores above a raw one, ties half (Mann and Whitney 1947).</summary>
    internal static double AreaUnderCurve(IReadOnlyList<double> good, IReadOnlyList<double> raw)
    {
        double wins = 0, rank = 0;
        foreach (var tied in good.Select(s => (Score: s, Good: true)).Concat(raw.Select(s => (Score: s, Good: false))).GroupBy(s => s.Score).OrderBy(g => g.Key))
        {
            var goodHere = tied.Count(s => s.Good);
            var rawHere = tied.Count() - goodHere;
            wins += goodHere * (rank + (rawHere / 2.0));
            rank += rawHere;
        }
        return wins / ((double)good.Count * raw.Count);
    }
}
