using Labeling.Training.Runs;

namespace Labeling.Training.Data;

/// <summary>Data rows as token ids that fit the model's context.</summary>
internal static class Examples
{
    /// <summary>What to do with rows longer than the context.</summary>
    public const string OverlongHelp = "What to do with a row that is longer than the model's context: stop with an error that names it, or leave it out and say how many.";

    /// <summary>Demonstrations, supervised from the answer on; each has its end token supervised.</summary>
    public static List<Sequence> Demonstrations(IReadOnlyList<DemonstrationRow> rows, ChatEncoder chat, int context, string overlong, RunFolder run) =>
        Fitting(rows, r => r.Where, row => Checked(row.EveryTurn ? chat.Conversation([.. row.Prompt, row.Completion], row.Where) : chat.Supervised(row.Prompt, row.Completion, row.Where), row, chat), s => s.Ids.Length, context, overlong, run);

    /// <summary>What a row must have for the model to learn when to stop, and no more than one beginning.</summary>
    private static Sequence Checked(Sequence row, DemonstrationRow source, ChatEncoder chat)
    {
        var tokenizer = chat.Tokenizer;
        if (!row.Predicted.Any(t => row.Ids[t] == chat.EosId))
        {
            throw new BadInputException($"{source.Where}: no supervised token of the row is the end token '{tokenizer.Decode([chat.EosId])}', so the model would not learn to stop. Check that the chat template ends the assistant's turn with it.");
        }
        if (tokenizer.BosId is not { } bos || bos == chat.EosId)
        {
            return row;
        }
        var begins = row.Ids.Count(id => id == bos);
        // Models whose tokenizer puts the token before every text were trained with it.
        if (begins > 1 || (begins == 0 && tokenizer.WithSpecialTokens([]).Contains(bos)))
        {
            throw new BadInputException($"{source.Where}: the row has the begin token '{tokenizer.Decode([bos])}' {begins} times, and the model expects it once. Let the chat template write bos_token exactly once, at the start.");
        }
        return row;
    }

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
