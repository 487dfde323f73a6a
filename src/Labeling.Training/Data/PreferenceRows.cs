using System.Text.Json;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Data;

/// <summary>A ranking of K answers; a pair of a chosen and a rejected answer is one with K = 2.</summary>
/// <param name="Ranking">Prompt, answers and ranks.</param>
/// <param name="Strength">How much better the best is than the worst, 1 (negligibly) to 4 (significantly); null when the row does not say.</param>
public sealed record PreferenceRow(RankingRow Ranking, int? Strength);

/// <summary>An answer that is wanted or not, by itself.</summary>
/// <param name="Prompt">Messages up to the answer.</param>
/// <param name="Completion">The answer.</param>
/// <param name="Desirable">Wanted.</param>
/// <param name="Where">file:line.</param>
public sealed record UnpairedRow(IReadOnlyList<ChatMessage> Prompt, ChatMessage Completion, bool Desirable, string Where);

/// <summary>
/// Reads what direct preference methods learn from, in TRL's shapes. A prompt or an answer that is plain text counts as one message of the
/// user or the assistant: models here always speak through their chat template.
/// </summary>
public static class PreferenceRows
{
    /// <summary>
    /// Rows {"prompt", "chosen", "rejected"}, {"chosen": [messages], "rejected": [messages]} with the prompt as their common beginning, or K-way
    /// {"prompt", "completions": [{"completion", "rank"}, ...]}; with "strength" (1 to 4) where there is one.
    /// </summary>
    public static List<PreferenceRow> Preferences(IReadOnlyList<string> files, string specFile, bool required = true) =>
        Rows.Read<PreferenceRow>(files, specFile, "preference", required, (row, where) => [new PreferenceRow(row.TryGetProperty("completions", out _) ? Rows.Ranking(row, where) : Pair(row, where), Strength(row))]);

    /// <summary>
    /// Rows {"prompt", "completion", "label": true or false}; rankings and pairs count as rows too: their best answers are wanted, their worst are not,
    /// and those between, like rankings of nothing but ties, say neither.
    /// </summary>
    public static List<UnpairedRow> Unpaired(IReadOnlyList<string> files, string specFile, bool required = true)
    {
        var lines = Rows.Read<UnpairedRow[]>(files, specFile, "unpaired preference", required, (row, where) => [
            row.TryGetProperty("completions", out _) ? Ends(Rows.Ranking(row, where))
            : row.TryGetProperty("chosen", out _) ? Ends(Pair(row, where))
            : [new UnpairedRow(Prompt(row), Answer(row, "completion"), Label(row), where)]]);
        List<UnpairedRow> rows = [.. lines.SelectMany(l => l)];
        return rows.Count > 0 || lines.Count == 0 ? rows : throw new BadInputException($"{specFile}: all {lines.Count} rankings are nothing but ties; no answer is wanted more than another. At least one must prefer an answer.");
    }

    private static RankingRow Pair(JsonElement row, string where)
    {
        var prompt = row.TryGetProperty("prompt", out _) ? Prompt(row) : CommonBeginning(row);
        var (chosen, rejected) = row.TryGetProperty("prompt", out _)
            ? (Answer(row, "chosen"), Answer(row, "rejected"))
            : (Last(row, "chosen", prompt.Count), Last(row, "rejected", prompt.Count));
        if (chosen.Content.Length == 0)
        {
            throw new BadInputException("'chosen' is an empty answer; a preferred answer needs text");
        }
        // The same answer twice prefers nothing.
        return new RankingRow(Rows.Id(row, where), prompt, [new(where + "#chosen", chosen, 1), new(where + "#rejected", rejected, chosen == rejected ? 1 : 2)], where);
    }

    private static List<ChatMessage> CommonBeginning(JsonElement row)
    {
        var (chosen, rejected) = (Rows.Messages(row, "chosen"), Rows.Messages(row, "rejected"));
        var prompt = chosen.Zip(rejected).TakeWhile(m => m.First == m.Second).Select(m => m.First).ToList();
        if (prompt.Count == chosen.Count && prompt.Count == rejected.Count && prompt.Count > 1)
        {
            prompt.RemoveAt(prompt.Count - 1);
        }
        return prompt.Any(m => m.Content.Length > 0)
            ? prompt
            : throw new BadInputException("field 'prompt' is missing, and 'chosen' and 'rejected' do not begin with the same messages");
    }

    private static ChatMessage Last(JsonElement row, string field, int promptLength)
    {
        var messages = Rows.Messages(row, field);
        return messages.Count == promptLength + 1 && messages[^1].Role == "assistant"
            ? messages[^1]
            : throw new BadInputException($"'{field}' must end with exactly one assistant message after what both share");
    }

    private static UnpairedRow[] Ends(RankingRow ranking)
    {
        var (best, worst) = (ranking.Completions.Min(c => c.Rank), ranking.Completions.Max(c => c.Rank));
        return [.. ranking.Completions.Where(c => best < worst && (c.Rank == best || c.Rank == worst))
            .Select(c => new UnpairedRow(ranking.Prompt, c.Message, c.Rank == best, ranking.Where))];
    }

    private static int? Strength(JsonElement row)
    {
        if (!row.TryGetProperty("strength", out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var strength) && strength is >= 1 and <= 4
            ? strength
            : throw new BadInputException("'strength' must be a whole number from 1 (negligibly better) to 4 (significantly better)");
    }

    private static bool Label(JsonElement row) => row.TryGetProperty("label", out var label) && label.ValueKind is JsonValueKind.True or JsonValueKind.False
        ? label.GetBoolean()
        : throw new BadInputException("field 'label' is missing or not true (wanted) or false (not wanted)");

    private static List<ChatMessage> Prompt(JsonElement row)
    {
        if (!row.TryGetProperty("prompt", out var prompt) || prompt.ValueKind != JsonValueKind.String)
        {
            return Rows.Prompt(row);
        }
        var text = Rows.Text(row, "prompt");
        return text.Length > 0 ? [new ChatMessage("user", text)] : throw new BadInputException("'prompt' is empty; write what is to be answered");
    }

    private static ChatMessage Answer(JsonElement row, string field)
    {
        if (!row.TryGetProperty(field, out var answer))
        {
            throw new BadInputException($"field '{field}' is missing; the prompt has no answer to learn from");
        }
        return answer.ValueKind == JsonValueKind.String ? new ChatMessage("assistant", Rows.Text(row, field)) : Rows.Answer(row, field);
    }
}
