using System.Text;
using System.Text.Json;
using Labeling.Training.Data;
using Labeling.Training.Runs;

namespace Labeling.Training.Pretraining;

/// <summary>A line of dropped.jsonl: which row was left out and why.</summary>
/// <param name="Row">file:line.</param>
/// <param name="Reason">quality, exact (the same text as another row) or near (almost the same).</param>
/// <param name="Score">Quality: the classifier's score, 0 to 1.</param>
/// <param name="Draw">Quality: the random number that 1 − score had to be below; null with a plain threshold.</param>
/// <param name="Of">Duplicates: file:line of the row that stays.</param>
/// <param name="Similarity">Duplicates: Jaccard similarity of the two rows' word n-grams.</param>
public sealed record DroppedRow(string Row, string Reason, double? Score = null, double? Draw = null, string? Of = null, double? Similarity = null);

/// <summary>What cleaning stages leave behind: output/kept.jsonl with the rows as they were, and output/dropped.jsonl.</summary>
internal static class CleanedText
{
    private static readonly JsonSerializerOptions Lines = new(RunFolder.Compact) { DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull };

    /// <summary>Writes both files and ends the run.</summary>
    /// <param name="run">The run.</param>
    /// <param name="rows">All rows in order.</param>
    /// <param name="dropped">For each row why it is left out; null for one that stays.</param>
    /// <param name="more">Further numbers of the report.</param>
    public static void Finish(RunFolder run, IReadOnlyList<TextLine> rows, IReadOnlyList<DroppedRow?> dropped, IEnumerable<KeyValuePair<string, double>> more)
    {
        var kept = rows.Where((_, i) => dropped[i] is null).ToList();
        run.WriteOutput(output =>
        {
            Write(output, "kept.jsonl", kept.Select(r => r.Json));
            Write(output, "dropped.jsonl", dropped.OfType<DroppedRow>().Select(d => JsonSerializer.Serialize(d, Lines)));
        });
        var metrics = new Dictionary<string, double>
        {
            ["rows"] = rows.Count,
            ["kept"] = kept.Count,
            ["dropped"] = rows.Count - kept.Count,
            ["bytes"] = rows.Sum(r => (double)Encoding.UTF8.GetByteCount(r.Text)),
            ["kept_bytes"] = kept.Sum(r => (double)Encoding.UTF8.GetByteCount(r.Text)),
        };
        foreach (var (name, value) in more)
        {
            metrics[name] = value;
        }
        run.TruncateAfter("metrics.jsonl", 0);
        run.Metrics(1, metrics);
        run.Log(FormattableString.Invariant($"Kept {kept.Count} of {rows.Count} rows ({100 * metrics["kept_bytes"] / Math.Max(1, metrics["bytes"]):F1} % of the text); output/dropped.jsonl says why the others were left out."));
        run.Progress(1, 1, "done");
        run.Finish(1, metrics);
    }

    /// <summary>Ends the run when it was asked to; it starts over next time.</summary>
    /// <exception cref="RunStoppedException">It was.</exception>
    public static void StopIfAsked(RunFolder run)
    {
        if (run.Stop.IsCancellationRequested)
        {
            throw new RunStoppedException("Stopped; nothing is kept of a stage this short, and the same command starts it again.");
        }
    }

    private static void Write(string folder, string name, IEnumerable<string> lines)
    {
        using var writer = new StreamWriter(Path.Combine(folder, name), append: false, new UTF8Encoding(false)) { NewLine = "\n" };
        foreach (var line in lines)
        {
            writer.WriteLine(line);
        }
    }
}
