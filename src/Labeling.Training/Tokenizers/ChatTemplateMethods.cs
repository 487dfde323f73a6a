namespace Labeling.Training.Tokenizers;

/// <summary>Methods of Python's strings, lists and dictionaries that templates call.</summary>
internal static class ChatTemplateMethods
{
    /// <summary>The method bound to its value, or null where that type has none of this name.</summary>
    public static TemplateFunction? Find(object? target, string name) => target switch
    {
        string s => OfString(s, name),
        TemplateMap m => OfMap(m, name),
        List<object?> l => OfList(l, name),
        _ => null,
    };

    private static TemplateFunction? OfString(string s, string name) => name switch
    {
        "strip" => (a, _) => Strip(s, Text(a, 0), start: true, end: true),
        "lstrip" => (a, _) => Strip(s, Text(a, 0), start: true, end: false),
        "rstrip" => (a, _) => Strip(s, Text(a, 0), start: false, end: true),
        "upper" => (_, _) => s.ToUpperInvariant(),
        "lower" => (_, _) => s.ToLowerInvariant(),
        "title" => (_, _) => Title(s),
        "capitalize" => (_, _) => Capitalize(s),
        "startswith" => (a, _) => Affixes(a, name).Any(x => s.StartsWith(x, StringComparison.Ordinal)),
        "endswith" => (a, _) => Affixes(a, name).Any(x => s.EndsWith(x, StringComparison.Ordinal)),
        "removeprefix" => (a, _) => Required(a, name) is var p && s.StartsWith(p, StringComparison.Ordinal) ? s[p.Length..] : s,
        "removesuffix" => (a, _) => Required(a, name) is var p && s.EndsWith(p, StringComparison.Ordinal) ? s[..^p.Length] : s,
        "replace" => (a, n) => Replace(s, a, n),
        "split" => (a, n) => Split(s, Argument(a, n, 0, "sep"), Argument(a, n, 1, "maxsplit"), fromEnd: false),
        "rsplit" => (a, n) => Split(s, Argument(a, n, 0, "sep"), Argument(a, n, 1, "maxsplit"), fromEnd: true),
        "splitlines" => (_, _) => Lines(s),
        "join" => (a, _) => string.Join(s, ChatTemplateValues.Items(a.Count > 0 ? a[0] : null).Select(x =>
            x as string ?? throw ChatTemplateValues.Error($"join needs strings, not {ChatTemplateValues.TypeName(x)}"))),
        "find" => (a, _) => (long)s.IndexOf(Required(a, name), StringComparison.Ordinal),
        "rfind" => (a, _) => (long)s.LastIndexOf(Required(a, name), StringComparison.Ordinal),
        "index" => (a, _) => s.IndexOf(Required(a, name), StringComparison.Ordinal) is var at and >= 0 ? (long)at : throw ChatTemplateValues.Error("index() does not find the text"),
        "format" => (a, n) => ChatTemplateFormat.Braces(s, a, n),
        "partition" => (a, _) => Partition(s, Required(a, name), fromEnd: false),
        "rpartition" => (a, _) => Partition(s, Required(a, name), fromEnd: true),
        "zfill" => (a, _) => s.PadLeft(ChatTemplateValues.ToInt(a.Count > 0 ? a[0] : null, "the width of zfill"), '0'),
        "isalnum" => (_, _) => s.Length > 0 && s.All(char.IsLetterOrDigit),
        "isnumeric" => (_, _) => s.Length > 0 && s.All(char.IsNumber),
        "count" => (a, _) => Required(a, name) is { Length: > 0 } part ? (long)((s.Length - s.Replace(part, "", StringComparison.Ordinal).Length) / part.Length) : ChatTemplateValues.Length(s) + 1,
        "isdigit" => (_, _) => s.Length > 0 && s.All(char.IsDigit),
        "isalpha" => (_, _) => s.Length > 0 && s.All(char.IsLetter),
        "isspace" => (_, _) => s.Length > 0 && s.All(char.IsWhiteSpace),
        "isupper" => (_, _) => s.Any(char.IsUpper) && !s.Any(char.IsLower),
        "islower" => (_, _) => s.Any(char.IsLower) && !s.Any(char.IsUpper),
        _ => null,
    };

    private static TemplateFunction? OfMap(TemplateMap m, string name) => name switch
    {
        "items" => (_, _) => m.Select(object? (e) => new TemplateTuple([e.Key, e.Value])).ToList(),
        "keys" => (_, _) => m.Keys.Cast<object?>().ToList(),
        "values" => (_, _) => m.Values.ToList(),
        "get" => (a, _) => a.Count > 0 && a[0] is string key && m.TryGet(key, out object? value) ? value : a.Count > 1 ? a[1] : null,
        _ => null,
    };

    private static TemplateFunction? OfList(List<object?> l, string name) => name switch
    {
        "index" => (a, _) => l.FindIndex(x => ChatTemplateValues.AreEqual(x, a.Count > 0 ? a[0] : null)) is var at and >= 0
            ? (long)at
            : throw ChatTemplateValues.Error("index() does not find the value in the list"),
        "count" => (a, _) => (long)l.Count(x => ChatTemplateValues.AreEqual(x, a.Count > 0 ? a[0] : null)),
        "append" or "insert" or "pop" or "extend" or "remove" or "clear" or "sort" or "reverse" => (_, _) =>
            throw ChatTemplateValues.Error($"'{name}' would change a list, which templates may not do; use + or a filter"),
        _ => null,
    };

    public static string Strip(string s, string? characters, bool start, bool end)
    {
        bool Strips(char c) => characters is null ? char.IsWhiteSpace(c) : characters.Contains(c);
        int from = 0;
        int to = s.Length;
        while (start && from < to && Strips(s[from]))
            from++;
        while (end && to > from && Strips(s[to - 1]))
            to--;
        return s[from..to];
    }

    public static string Title(string s)
    {
        char[] letters = s.ToCharArray();
        for (int i = 0; i < letters.Length; i++)
            letters[i] = i > 0 && char.IsLetter(letters[i - 1]) ? char.ToLowerInvariant(letters[i]) : char.ToUpperInvariant(letters[i]);
        return new string(letters);
    }

    public static string Capitalize(string s) => s.Length == 0 ? s : char.ToUpperInvariant(s[0]) + s[1..].ToLowerInvariant();

    public static string Replace(string s, IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named)
    {
        if (arguments.Count < 2 || arguments[0] is not string old || arguments[1] is not string replacement)
            throw ChatTemplateValues.Error("replace needs two strings");
        if (old.Length == 0)
            return replacement + string.Concat(s.EnumerateRunes().Select(r => r + replacement));
        int left = Argument(arguments, named, 2, "count") is { } count ? ChatTemplateValues.ToInt(count, "count") : -1;
        if (left < 0)
            return s.Replace(old, replacement, StringComparison.Ordinal);
        for (int at = 0; left > 0 && (at = s.IndexOf(old, at, StringComparison.Ordinal)) >= 0; left--, at += replacement.Length)
            s = string.Concat(s.AsSpan(0, at), replacement, s.AsSpan(at + old.Length));
        return s;
    }

    private static List<object?> Split(string s, object? separator, object? limit, bool fromEnd)
    {
        int max = limit is null ? -1 : ChatTemplateValues.ToInt(limit, "maxsplit");
        if (separator is not (null or string { Length: > 0 }))
            throw ChatTemplateValues.Error("split needs a separator that is a text and not empty");
        List<object?> parts = [];
        if (separator is null)
        {
            return Words(s, max, fromEnd);
        }
        string sep = (string)separator;
        while (max < 0 || parts.Count < max)
        {
            int at = fromEnd ? s.LastIndexOf(sep, StringComparison.Ordinal) : s.IndexOf(sep, StringComparison.Ordinal);
            if (at < 0)
                break;
            parts.Add(fromEnd ? s[(at + sep.Length)..] : s[..at]);
            s = fromEnd ? s[..at] : s[(at + sep.Length)..];
        }
        parts.Add(s);
        if (fromEnd)
            parts.Reverse();
        return parts;
    }

    /// <summary>Words between white space; after as many as allowed, the rest stays one.</summary>
    private static List<object?> Words(string s, int max, bool fromEnd)
    {
        List<object?> words = [];
        for (s = fromEnd ? s.TrimEnd() : s.TrimStart(); s.Length > 0;)
        {
            int at = fromEnd ? s.Length - 1 : 0;
            while (at >= 0 && at < s.Length && !char.IsWhiteSpace(s[at]))
                at += fromEnd ? -1 : 1;
            if ((max >= 0 && words.Count >= max) || at < 0 || at >= s.Length)
            {
                words.Add(fromEnd ? s.TrimStart() : max < 0 ? s : s.TrimEnd());
                break;
            }
            words.Add(fromEnd ? s[(at + 1)..] : s[..at]);
            s = fromEnd ? s[..at].TrimEnd() : s[at..].TrimStart();
        }
        if (fromEnd)
            words.Reverse();
        return words;
    }

    private static TemplateTuple Partition(string s, string separator, bool fromEnd)
    {
        int at = fromEnd ? s.LastIndexOf(separator, StringComparison.Ordinal) : s.IndexOf(separator, StringComparison.Ordinal);
        return at >= 0 ? new([s[..at], separator, s[(at + separator.Length)..]]) : new(fromEnd ? ["", "", s] : [s, "", ""]);
    }

    private static List<object?> Lines(string s)
    {
        List<object?> lines = s.ReplaceLineEndings("\n").Split('\n').ToList<object?>();
        if ((string)lines[^1]! == "")
            lines.RemoveAt(lines.Count - 1);
        return lines;
    }

    private static object? Argument(IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named, int at, string name) =>
        at < positional.Count ? positional[at] : named.GetValueOrDefault(name);

    private static string? Text(IReadOnlyList<object?> arguments, int at) => at < arguments.Count ? arguments[at] as string : null;

    private static string Required(IReadOnlyList<object?> arguments, string method) =>
        Text(arguments, 0) ?? throw ChatTemplateValues.Error($"{method} needs a string");

    private static IEnumerable<string> Affixes(IReadOnlyList<object?> arguments, string method) =>
        arguments.Count > 0 && arguments[0] is List<object?> several ? several.OfType<string>() : [Required(arguments, method)];
}
