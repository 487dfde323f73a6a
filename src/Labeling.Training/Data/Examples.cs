using Labeling.Training.Runs;

namespace Labeling.Training.Data;

/// <summary>Data rows as token ids that fit the model's context.</summary>
internal static class Examples
{
    /// <summary>What to do with rows longer than the context.</summary>
    public const string OverlongHelp = "What to do with a row that is longer than the model's context: stop with an error that names it, or leave it out and say how many.";

    /// <summary>Demonstrations, supervised from the answer on; each has its end token supervised.</summary>
    public static List<Sequence> Demonstrations(IReadOnlyList<DemonstrationRow> rows, ChatEncoder chat, int context, string overlong, RunFolder run) =>
        Fitting(rows, r => r.Where, row => chat.Supervised(row.Prompt, row.Completion, row.Where), s => s.Ids.Length, context, overlong, run);

    /// <summary>Prompts with room for at least one token of answer.</summary>
    public static List<(PromptRow Row, int[] Ids)> Prompts(IReadOnlyList<PromptRow> rows, ChatEncoder chat, int context, string overlong, RunFolder run) =>
        Fitting(rows, r => r.Where, row => (row, chat.Prompt(row.Prompt, row.Where)), p => p.Item2.Length + 1, context, overlong, run);

    /// <summary>Encodes rows and applies the rule for those longer than the context.</summary>
    public static List<T> Fitting<TRow, T>(IReadOnlyList<TRow> rows, Func<TRow, string> where, Func<TRow, T> encode, Func<T, int> length, int context, string overlong, RunFolder run)
    {
        var kept = new List<T>(rows.Count);
        foreach (var row in rows)
        {
            var example = encode(row);
            if (length(example) <= context)
            {
                kept.Add(example);
            }
            else if (overlong == "error")
            {
                throw new BadInputException($"{where(row)}: the row has {length(example)} tokens and the model's context holds {context}. Shorten it, or set overlong to \"skip\" to leave such rows out.");
            }
        }
        if (kept.Count < rows.Count)
        {
            run.Log($"Left out {rows.Count - kept.Count} of {rows.Count} rows that are longer than the context of {context} tokens.");
        }
        return kept.Count > 0 || rows.Count == 0 ? kept : throw new BadInputException($"Every one of the {rows.Count} rows is longer than the model's context of {context} tokens.");
    }
}
