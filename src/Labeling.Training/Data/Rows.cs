using System.Text.Json;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Data;

/// <summary>A prompt to answer.</summary>
/// <param name="Id">The caller's id, or file:line when there is none.</param>
/// <param name="Prompt">Messages up to the answer.</param>
/// <param name="Where">file:line, for messages to people.</param>
public sealed record PromptRow(string Id, IReadOnlyList<ChatMessage> Prompt, string Where);

/// <summary>A demonstration.</summary>
/// <param name="Id">The caller's id, or file:line.</param>
/// <param name="Prompt">Messages up to the answer.</param>
/// <param name="Completion">The answer, one assistant message.</param>
/// <param name="Where">file:line.</param>
/// <param name="EveryTurn">The assistant turns in the prompt are to be learned as well.</param>
public sealed record DemonstrationRow(string Id, IReadOnlyList<ChatMessage> Prompt, ChatMessage Completion, string Where, bool EveryTurn = false);

/// <summary>Raw text or a demonstration; the other is null.</summary>
/// <param name="Text">The text.</param>
/// <param name="Demonstration">The demonstration.</param>
/// <param name="Where">file:line.</param>
public sealed record TextOrDemonstration(string? Text, DemonstrationRow? Demonstration, string Where);

/// <summary>One ranked answer.</summary>
/// <param name="Id">The caller's id of the completion.</param>
/// <param name="Message">The answer.</param>
/// <param name="Rank">1 = best; equal ranks are ties.</param>
/// <param name="Demonstration">A person wrote it.</param>
public sealed record RankedCompletion(string Id, ChatMessage Message, int Rank, bool Demonstration = false);

/// <summary>One person's ranking of K answers to a prompt.</summary>
/// <param name="Id">The caller's id, or file:line.</param>
/// <param name="Prompt">Messages up to the answers.</param>
/// <param name="Completions">The K answers.</param>
/// <param name="Where">file:line.</param>
/// <param name="Labeler">Who ranked; null when the row does not say.</param>
/// <param name="Strength">How much better the best is than the worst: 1 negligibly to 4 significantly; null when the row does not say.</param>
public sealed record RankingRow(string Id, IReadOnlyList<ChatMessage> Prompt, IReadOnlyList<RankedCompletion> Completions, string Where, string? Labeler = null, int? Strength = null);

/// <summary>A row of text with its whole line.</summary>
/// <param name="Text">The text.</param>
/// <param name="Json">The row as it stands in the file.</param>
/// <param name="Where">file:line.</param>
public sealed record TextLine(string Text, string Json, string Where);

/// <summary>Reads data rows (JSONL, UTF-8, TRL's shapes). Every error names file and line.</summary>
public static class Rows
{
    /// <summary>Rows {"text": ...}.</summary>
    public static List<string> Texts(IReadOnlyList<string> files, string specFile, bool required = true) =>
        Read<string>(files, specFile, "text", required, (row, _) => [Text(row, "text")]);

    /// <summary>Rows {"text": ...} with their lines, for stages that pass rows on.</summary>
    public static List<TextLine> TextLines(IReadOnlyList<string> files, string specFile, bool required = true) =>
        Read<TextLine>(files, specFile, "text", required, (row, where) => [new TextLine(Text(row, "text"), row.GetRawText(), where)]);

    /// <summary>Rows {"prompt": [messages]}.</summary>
    public static List<PromptRow> Prompts(IReadOnlyList<string> files, string specFile, bool required = true) =>
        Read<PromptRow>(files, specFile, "prompt", required, (row, where) => [new PromptRow(Id(row, where), Prompt(row), where)]);

    /// <summary>
    /// Rows {"prompt": [...], "completion": [one assistant message]} or {"messages": [...]}. <paramref name="turns"/> says what becomes of the latter:
    /// "split" makes of each assistant turn a demonstration with everything before it as its prompt; "all" makes one that learns every
    /// assistant turn; "last" one that learns the last.
    /// </summary>
    public static List<DemonstrationRow> Demonstrations(IReadOnlyList<string> files, string specFile, bool required = true, string turns = "split") =>
        Read<DemonstrationRow>(files, specFile, "demonstration", required, (row, where) => Demonstration(row, where, turns));

    /// <summary>Rows {"text": ...} and demonstrations, mixed at will. Neither may be empty.</summary>
    public static List<TextOrDemonstration> TextsAndDemonstrations(IReadOnlyList<string> files, string specFile, bool required = true) =>
        Read<TextOrDemonstration>(files, specFile, "text or demonstration", required, (row, where) => row.TryGetProperty("text", out _)
            ? [Text(row, "text") is { Length: > 0 } text ? new(text, null, where) : throw new BadInputException("'text' is empty")]
            : Demonstration(row, where, "split").Select(d => d.Completion.Content.Length > 0 ? new TextOrDemonstration(null, d, where) : throw new BadInputException("'completion' is an empty answer; there is nothing to predict")));

    /// <summary>
    /// Rows {"prompt": [...], "completions": [{"completion": [...], "rank": 1}, ...]}, where a row may have "labeler" (text) and "strength" (1 to 4) and a
    /// completion "demonstration" (true: a person wrote it).
    /// </summary>
    public static List<RankingRow> Rankings(IReadOnlyList<string> files, string specFile, bool required = true) =>
        Read<RankingRow>(files, specFile, "ranking", required, (row, where) => [Ranking(row, where)]);

    internal static List<T> Read<T>(IReadOnlyList<string> files, string specFile, string what, bool required, Func<JsonElement, string, IEnumerable<T>> parse)
    {
        var rows = new List<T>();
        foreach (var file in files)
        {
            var number = 0;
            foreach (var line in File.ReadLines(file))
            {
                number++;
                if (string.IsNullOrWhiteSpace(line))
                {
                    continue;
                }
                var where = $"{Path.GetFileName(file)}:{number}";
                try
                {
                    using var document = JsonDocument.Parse(line);
                    if (document.RootElement.ValueKind != JsonValueKind.Object)
                    {
                        throw new BadInputException("must be a JSON object");
                    }
                    rows.AddRange(parse(document.RootElement, where));
                }
                catch (Exception e) when (e is JsonException or BadInputException or InvalidOperationException)
                {
                    throw new BadInputException($"{where}: {(e is BadInputException ? e.Message : $"not valid JSON text ({e.Message})")}.", e);
                }
            }
        }
        if (rows.Count == 0 && required)
        {
            throw new BadInputException(files.Count == 0
                ? $"{specFile}: no data file has the split 'train'; this stage needs {what} rows."
                : $"The training data ({string.Join(", ", files.Select(Path.GetFileName))}) has no rows; at least one {what} row is needed.");
        }
        return rows;
    }

    private static IEnumerable<DemonstrationRow> Demonstration(JsonElement row, string where, string turns) => row.TryGetProperty("messages", out _)
        ? Turns(Id(row, where), Messages(row, "messages"), where, turns)
        : [new DemonstrationRow(Id(row, where), Prompt(row), Answer(row, "completion"), where)];

    private static IEnumerable<DemonstrationRow> Turns(string id, List<ChatMessage> messages, string where, string turns)
    {
        var answers = Enumerable.Range(0, messages.Count).Where(i => messages[i].Role == "assistant").ToList();
        if (answers.Count == 0 || answers[0] == 0)
        {
            throw new BadInputException("'messages' needs at least one assistant message that follows another message");
        }
        if (answers.Find(i => messages[i].Content.Length == 0) is > 0 and var empty)
        {
            throw new BadInputException($"messages[{empty}] is an empty answer");
        }
        return turns == "split"
            ? answers.Select(i => new DemonstrationRow(answers.Count == 1 ? id : $"{id}#{i}", messages[..i], messages[i], where))
            : [new DemonstrationRow(id, messages[..answers[^1]], messages[answers[^1]], where, turns == "all" && answers.Count > 1)];
    }

    internal static RankingRow Ranking(JsonElement row, string where)
    {
        if (!row.TryGetProperty("completions", out var list) || list.ValueKind != JsonValueKind.Array)
        {
            throw new BadInputException("field 'completions' is missing or not a list");
        }
        var completions = new List<RankedCompletion>();
        foreach (var entry in list.EnumerateArray())
        {
            var place = $"completions[{completions.Count}]";
            if (entry.ValueKind != JsonValueKind.Object)
            {
                throw new BadInputException($"{place} must be an object with 'completion' and 'rank'");
            }
            if (!entry.TryGetProperty("rank", out var rank) || rank.ValueKind != JsonValueKind.Number || !rank.TryGetInt32(out var number) || number < 1)
            {
                throw new BadInputException($"{place}.rank is missing or not a whole number from 1 (1 = best, equal = tie)");
            }
            var written = Optional(entry, "demonstration") is { } flag && (flag.ValueKind is JsonValueKind.True or JsonValueKind.False
                ? flag.GetBoolean()
                : throw new BadInputException($"{place}.demonstration must be true or false"));
            completions.Add(new RankedCompletion(Id(entry, $"{where}#{completions.Count}"), Answer(entry, "completion"), number, written));
        }
        return completions.Count >= 2
            ? new RankingRow(Id(row, where), Prompt(row), completions, where, Optional(row, "labeler") is null ? null : Text(row, "labeler"), Strength(row))
            : throw new BadInputException($"a ranking needs at least 2 completions and this one has {completions.Count}");
    }

    private static int? Strength(JsonElement row)
    {
        if (Optional(row, "strength") is not { } value)
        {
            return null;
        }
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var strength) && strength is >= 1 and <= 4
            ? strength
            : throw new BadInputException($"strength is {value.GetRawText()}; it must be 1 (negligibly better), 2, 3 or 4 (significantly better), or left out");
    }

    private static JsonElement? Optional(JsonElement row, string field) => row.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    internal static string Id(JsonElement row, string where) => row.TryGetProperty("id", out var id) && id.ValueKind != JsonValueKind.Null
        ? id.ValueKind == JsonValueKind.String ? id.GetString()! : id.GetRawText()
        : where;

    internal static List<ChatMessage> Prompt(JsonElement row)
    {
        var prompt = Messages(row, "prompt");
        return prompt.Any(m => m.Content.Length > 0) ? prompt : throw new BadInputException("'prompt' is empty; write at least one message with content");
    }

    internal static ChatMessage Answer(JsonElement row, string field)
    {
        var messages = Messages(row, field);
        if (messages.Count != 1 || messages[0].Role != "assistant")
        {
            throw new BadInputException($"'{field}' must hold exactly one message, with role 'assistant'");
        }
        return messages[0];
    }

    internal static List<ChatMessage> Messages(JsonElement row, string field)
    {
        if (!row.TryGetProperty(field, out var list) || list.ValueKind != JsonValueKind.Array)
        {
            throw new BadInputException($"field '{field}' is missing or not a list of messages");
        }
        var messages = new List<ChatMessage>();
        foreach (var message in list.EnumerateArray())
        {
            if (message.ValueKind != JsonValueKind.Object)
            {
                throw new BadInputException($"{field}[{messages.Count}] must be an object with 'role' and 'content'");
            }
            var role = Text(message, "role", $"{field}[{messages.Count}].");
            messages.Add(role is "system" or "user" or "assistant"
                ? new ChatMessage(role, Text(message, "content", $"{field}[{messages.Count}]."))
                : throw new BadInputException($"{field}[{messages.Count}].role is '{role}'; it must be system, user or assistant"));
        }
        return messages;
    }

    internal static string Text(JsonElement row, string field, string place = "")
    {
        if (!row.TryGetProperty(field, out var value) || value.ValueKind != JsonValueKind.String)
        {
            throw new BadInputException($"field '{place}{field}' is missing or not text");
        }
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new BadInputException($"field '{place}{field}' holds half of a surrogate pair, which is not valid Unicode");
        }
    }
}
