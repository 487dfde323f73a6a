using System.Text.Json;
using System.Text.Unicode;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Prompts;

/// <summary>What one line of an upload says, or why it cannot be taken.</summary>
internal sealed record PromptLine(
    IReadOnlyList<Message> Messages, string? ExternalId, string? Category, string? Language, string? Author, Split? Split, bool Consent)
{
    public const int MaxBytes = 16 * 1024 * 1024;
    public const int MaxMessages = 1000;

    private static readonly JsonDocumentOptions Json = new() { AllowDuplicateProperties = false };

    /// <summary>Null for a blank line.</summary>
    /// <exception cref="BadLineException">With the reason, as the rest of a sentence that starts with the line.</exception>
    public static PromptLine? Parse(RawLine line)
    {
        if (line.TooLong) throw new BadLineException($"is longer than {MaxBytes / 1024 / 1024} MB");
        if (!Utf8.IsValid(line.Bytes.Span)) throw new BadLineException("is not valid UTF-8");
        if (line.Bytes.Span.IndexOfAnyExcept(" \t\r"u8) < 0) return null;
        try
        {
            using var document = JsonDocument.Parse(line.Bytes, Json);
            return Read(document.RootElement);
        }
        catch (JsonException e)
        {
            throw new BadLineException($"is not valid JSON (at byte {e.BytePositionInLine + 1}); every line must be one JSON object");
        }
    }

    private static PromptLine Read(JsonElement row)
    {
        if (row.ValueKind != JsonValueKind.Object) throw new BadLineException($"is {Describe(row)}; every line must be one JSON object");
        return new PromptLine(
            ReadMessages(row), Text(row, "id", 200), Text(row, "category", 100), Text(row, "language", 35), Text(row, "author", 200), ReadSplit(row), ReadConsent(row));
    }

    private static List<Message> ReadMessages(JsonElement row)
    {
        var prompt = Property(row, "prompt");
        var messages = Property(row, "messages");
        if (prompt is null && messages is null) throw new BadLineException("has neither \"prompt\" nor \"messages\"");
        if (prompt is not null && messages is not null) throw new BadLineException("has both \"prompt\" and \"messages\"; give one of them");
        if (prompt is { ValueKind: JsonValueKind.String }) return [new Message("user", Content(prompt.Value, "prompt"))];

        // TRL also writes a conversation under "prompt".
        var name = messages is null ? "prompt" : "messages";
        var list = messages ?? prompt!.Value;
        if (list.ValueKind != JsonValueKind.Array)
        {
            throw new BadLineException($"has {Describe(list)} for \"{name}\"; it must be {(messages is null ? "a text or " : "")}a list of messages");
        }

        var count = list.GetArrayLength();
        if (count is 0 or > MaxMessages) throw new BadLineException($"has {count} messages; there must be 1 to {MaxMessages}");
        var result = new List<Message>(count);
        foreach (var item in list.EnumerateArray())
        {
            var where = $"{name}[{result.Count}]";
            if (item.ValueKind != JsonValueKind.Object) throw new BadLineException($"has {Describe(item)} for {where}; it must be an object with \"role\" and \"content\"");
            var role = Text(item, "role", 20, where + ".");
            if (role is not ("system" or "user" or "assistant")) throw new BadLineException($"has the role {(role is null ? "missing" : $"\"{role}\"")} in {where}; it must be system, user or assistant");
            var content = Property(item, "content") ?? throw new BadLineException($"has no \"content\" in {where}");
            result.Add(new Message(role, Content(content, where + ".content")));
        }

        if (result[^1].Role != "user") throw new BadLineException($"ends with a message of the {result[^1].Role}; the last one must be the user's");
        return result;
    }

    private static string Content(JsonElement value, string name)
    {
        var text = String(value, name, Texts.MaxCharacters);
        return string.IsNullOrWhiteSpace(text) ? throw new BadLineException($"has an empty \"{name}\"") : text;
    }

    private static Split? ReadSplit(JsonElement row) => Text(row, "split", 20) switch
    {
        null => null,
        "train" => Model.Split.Train,
        "valid" => Model.Split.Valid,
        "test" => Model.Split.Test,
        var other => throw new BadLineException($"has the split \"{other}\"; it must be train, valid or test"),
    };

    private static bool ReadConsent(JsonElement row) => Property(row, "consent") switch
    {
        null or { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } other => throw new BadLineException($"has {Describe(other)} for \"consent\"; it must be true or false"),
    };

    private static string? Text(JsonElement row, string name, int maxCharacters, string where = "")
    {
        var text = Property(row, name) is { } value ? String(value, where + name, maxCharacters) : null;
        return text is "" ? null : text;
    }

    private static string String(JsonElement value, string name, int maxCharacters)
    {
        if (value.ValueKind != JsonValueKind.String) throw new BadLineException($"has {Describe(value)} for \"{name}\"; it must be a text");
        string text;
        try
        {
            text = value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            // The bytes are valid UTF-8, so only an escape can be at fault: \ud83d without its other half.
            throw new BadLineException($"has half of a surrogate pair in \"{name}\", which is not a character");
        }

        return Texts.ProblemOf(text, maxCharacters) is { } problem ? throw new BadLineException($"has a \"{name}\" that {problem}") : text;
    }

    /// <summary>JSON's null is the same as leaving the property out.</summary>
    private static JsonElement? Property(JsonElement row, string name) =>
        row.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "true or false",
    };
}

internal sealed class BadLineException(string reason) : Exception(reason);
