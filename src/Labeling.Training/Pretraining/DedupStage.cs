// Stage "dedup": leaves out rows that another row already says: exactly the same text, by hash (Chen et al. 2021, arXiv 2107.03374), and nearly the same, by the Jaccard
// similarity of their word n-grams (Brown et al. 2020, arXiv 2005.14165, appendix A; Lee et al. 2022, arXiv 2107.06499, with 5-grams and 0.8).
//
// Rows are taken in order. MinHash bands name candidates among the rows kept so far; each candidate's similarity is then computed exactly, so no row is dropped
// by an estimate. A row that is similar enough to one that stays is left out, and dropped.jsonl names the two and how similar they are.
//
// Deliberate deviations: GPT-3 used 10 hashes and the estimate alone; here a pair at the threshold is found with 99 % and judged exactly.

using System.Security.Cryptography;
using System.Text;
using Labeling.Training.Data;
using Labeling.Training.Runs;

namespace Labeling.Training.Pretraining;

/// <summary>Hyperparameters of the stage "dedup".</summary>
public sealed record DedupHyperparameters
{
    [Hyperparameter("Rows this similar are duplicates: the share of word n-grams that both have among those that either has. 1 = only the same grams.", Source = "Lee et al. 2022", Min = 0.2, Max = 1)]
    public double Threshold { get; init; } = 0.8;

    [Hyperparameter("Words of a gram. Rows with fewer are compared whole.", Unit = "words", Source = "Lee et al. 2022", Min = 1, Max = 50)]
    public int NgramWords { get; init; } = 5;

    [Hyperparameter("Hash functions: more find pairs near the threshold with fewer comparisons.", Source = "GPT-3 A: 10", Min = 8, Max = 10_000)]
    public int NumHashes { get; init; } = 128;
}

/// <summary>Removes duplicate rows.</summary>
public static class DedupStage
{
    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">No text, or a bad row.</exception>
    /// <exception cref="RunStoppedException">Asked to stop.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<DedupHyperparameters>();
        run.Progress(0, 1, "reading");
        var rows = Rows.TextLines(run.Spec.DataOf("train"), run.Spec.File);
        var hashing = new MinHash(settings.NumHashes, settings.Threshold, run.Spec.Seed);
        run.Log(FormattableString.Invariant($"{hashing.Bands} bands of {hashing.RowsPerBand} hashes find {hashing.Found:P2} of the pairs with similarity {settings.Threshold}, and more of those above."));

        var byText = new Dictionary<string, int>();
        var byBand = new Dictionary<ulong, List<int>>();
        var shingles = new ulong[rows.Count][];
        var dropped = new DroppedRow?[rows.Count];
        long compared = 0;
        for (var i = 0; i < rows.Count; i++)
        {
            if (i % 1000 == 0)
            {
                CleanedText.StopIfAsked(run);
                run.Progress(i, rows.Count, "comparing");
            }
            var hash = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(rows[i].Text)));
            if (!byText.TryAdd(hash, i))
            {
                // The first row with this text may itself be left out for one that stays.
                var first = byText[hash];
                dropped[i] = (dropped[first] ?? new DroppedRow("", "", Of: rows[first].Where, Similarity: 1)) with { Row = rows[i].Where, Reason = "exact" };
                continue;
            }
            shingles[i] = MinHash.Shingles(rows[i].Text, settings.NgramWords);
            var keys = hashing.BandKeys(hashing.Signature(shingles[i])).ToList();
            var candidates = keys.SelectMany(k => byBand.GetValueOrDefault(k) ?? []).Distinct().Order().ToList();
            compared += candidates.Count;
            // The most similar one, the first of equals.
            var (of, similarity) = candidates.Select(c => (c, MinHash.Jaccard(shingles[i], shingles[c]))).DefaultIfEmpty((-1, -1)).MaxBy(c => c.Item2);
            if (similarity >= settings.Threshold)
            {
                dropped[i] = new DroppedRow(rows[i].Where, "near", Of: rows[of].Where, Similarity: similarity);
                continue;
            }
            foreach (var key in keys)
            {
                if (!byBand.TryGetValue(key, out var found))
                {
                    byBand[key] = found = [];
                }
                found.Add(i);
            }
        }
        CleanedText.Finish(run, rows, dropped, new Dictionary<string, double>
        {
            ["dropped_exact"] = dropped.Count(d => d?.Reason == "exact"),
            ["dropped_near"] = dropped.Count(d => d?.Reason == "near"),
            ["compared"] = compared,
        });
    }
}
