using System.Text.Json;

namespace Labeling.Training.Tokenizers;

/// <summary>Typed access to the fields of a tokenizer file, with errors that name the field. A field that is null counts as missing.</summary>
internal static class JsonFields
{
    public static InvalidDataException Bad(string field, string problem) => new($"{field} {problem}.");

    public static JsonElement? Get(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public static JsonElement Need(JsonElement element, string name, string where) => Get(element, name) ?? throw Bad($"{where}.{name}", "is missing");

    public static string? Text(JsonElement element, string name) => Get(element, name)?.GetString();

    public static bool Flag(JsonElement element, string name, bool missing = false) => Get(element, name)?.GetBoolean() ?? missing;

    public static int Int(JsonElement element, string name, int missing) => Get(element, name)?.GetInt32() ?? missing;

    /// <summary>Reads a whole file; a syntax error names it.</summary>
    public static JsonDocument Parse(byte[] json, string path)
    {
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} is not valid JSON: {e.Message}", e);
        }
    }

    /// <summary>The steps of a part of the pipeline: those of a <c>Sequence</c>, nested ones too, or the one step it is.</summary>
    public static IEnumerable<JsonElement> Steps(JsonElement? part, string listName) => part is not { } step ? []
        : Text(step, "type") == "Sequence" ? Need(step, listName, "Sequence").EnumerateArray().SelectMany(inner => Steps(inner, listName)) : [step];

    /// <summary>A <c>{"String": ...}</c> or <c>{"Regex": ...}</c> as a pattern to search with.</summary>
    public static TextPattern Pattern(JsonElement step, string where)
    {
        var pattern = Need(step, "pattern", where);
        if (Text(pattern, "String") is { } literal)
        {
            return TextPattern.Literal(literal);
        }
        return Text(pattern, "Regex") is { } regex
            ? TextPattern.Regex(regex, where + ".pattern")
            : throw Bad(where + ".pattern", "is neither String nor Regex");
    }
}
