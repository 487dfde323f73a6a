using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Labeling.Web.Api.Json;

/// <summary>What is wrong with a JSON body, by field, in words for the person who wrote it.</summary>
internal static partial class JsonProblems
{
    /// <param name="e">What the serializer says.</param>
    /// <param name="body">The type the body was read as.</param>
    public static IReadOnlyDictionary<string, string[]> Describe(JsonException e, Type? body)
    {
        var path = e.Path is { } p && p.StartsWith("$.", StringComparison.Ordinal) ? p[2..] : "";

        // Beyond the path the serializer offers sentences only; these four are recognised and held in place by tests.
        if (Missing().Match(e.Message) is { Success: true } missing)
        {
            return Quoted().Matches(missing.Groups[1].Value).ToDictionary(m => Join(path, m.Groups[1].Value), _ => new[] { "This is required." });
        }

        if (NotNull().Match(e.Message) is { Success: true } notNull)
        {
            return One(Member(path, notNull), "This cannot be null.");
        }

        if (Unmapped().Match(e.Message) is { Success: true } unmapped)
        {
            return One(Member(path, unmapped), "There is no such field here.");
        }

        if (Duplicate().Match(e.Message) is { Success: true } duplicate)
        {
            return One(Member(path, duplicate), "This field is there twice.");
        }

        if (e.Message.StartsWith("This has to be", StringComparison.Ordinal))
        {
            return One(path, e.Message);
        }

        if (e.Message.Contains("could not be converted to", StringComparison.Ordinal) && TypeAt(body, path) is { } type)
        {
            return One(path, Expected(type));
        }

        var where = e.LineNumber is { } line ? string.Create(CultureInfo.InvariantCulture, $" from line {line + 1}, byte {e.BytePositionInLine + 1} on") : "";
        return One(path, $"The JSON cannot be read{where}.");
    }

    private static Dictionary<string, string[]> One(string field, string message) => new() { [field.Length > 0 ? field : "body"] = [message] };

    private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";

    // The serializer's path ends sometimes before, sometimes with the member it names in its sentence.
    private static string Member(string path, Match named)
    {
        var name = JsonNamingPolicy.CamelCase.ConvertName(named.Groups[1].Value);
        return path == name || path.EndsWith($".{name}", StringComparison.Ordinal) ? path : Join(path, name);
    }

    private static Type? TypeAt(Type? type, string path)
    {
        foreach (Match step in Step().Matches(path))
        {
            type = type is null ? null : Nullable.GetUnderlyingType(type) ?? type;
            type = step.Groups["name"].Success
                ? type?.GetProperties().FirstOrDefault(p => JsonNamingPolicy.CamelCase.ConvertName(p.Name) == step.Groups["name"].Value)?.PropertyType
                : type?.GetGenericArguments().FirstOrDefault();
        }

        return type is null ? null : Nullable.GetUnderlyingType(type) ?? type;
    }

    private static string Expected(Type type) =>
        type switch
        {
            _ when type == typeof(string) => "This has to be text in valid Unicode, without lone surrogates.",
            _ when type == typeof(Guid) => "This has to be a UUID.",
            _ when type == typeof(int) || type == typeof(long) => "This has to be a whole number.",
            _ when type == typeof(double) => "This has to be a number.",
            _ when type == typeof(bool) => "This has to be true or false.",
            _ when type == typeof(DateTimeOffset) => "This has to be a date and time such as 2026-01-31T08:00:00Z.",
            _ when type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) => "This has to be a list.",
            _ => "This has to be an object.",
        };

    [GeneratedRegex("was missing required properties including: (.+)", RegexOptions.Singleline)]
    private static partial Regex Missing();

    [GeneratedRegex("'(\\w+)'")]
    private static partial Regex Quoted();

    [GeneratedRegex("(?:constructor parameter|property or field) '(\\w+)' .*null")]
    private static partial Regex NotNull();

    [GeneratedRegex("The JSON property '(.+?)' could not be mapped")]
    private static partial Regex Unmapped();

    [GeneratedRegex("Duplicate property '(.+?)'")]
    private static partial Regex Duplicate();

    [GeneratedRegex("\\[\\d+\\]|(?:^|\\.)(?<name>\\w+)")]
    private static partial Regex Step();
}
