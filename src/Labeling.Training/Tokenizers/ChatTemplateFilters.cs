using System.Globalization;

namespace Labeling.Training.Tokenizers;

/// <summary>What may stand after a bar.</summary>
internal static class ChatTemplateFilters
{
    private delegate object? Filter(object? value, IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named);

    private static readonly Dictionary<string, Filter> Filters = new()
    {
        ["trim"] = (v, a, _) => ChatTemplateMethods.Strip(Text(v), a.Count > 0 ? a[0] as string : null, start: true, end: true),
        ["length"] = (v, _, _) => ChatTemplateValues.Length(v),
        ["tojson"] = ChatTemplateJson.Write,
        ["upper"] = (v, _, _) => Text(v).ToUpperInvariant(),
        ["lower"] = (v, _, _) => Text(v).ToLowerInvariant(),
        ["title"] = (v, _, _) => Title(Text(v)),
        ["escape"] = (v, _, _) => Escape(Text(v)),
        ["format"] = (v, a, n) => ChatTemplateFormat.Percent(Text(v), a),
        ["round"] = Round,
        ["wordcount"] = (v, _, _) => (long)Text(v).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Length,
        ["capitalize"] = (v, _, _) => ChatTemplateMethods.Capitalize(Text(v)),
        ["replace"] = (v, a, n) => ChatTemplateMethods.Replace(Text(v), a, n),
        ["string"] = (v, _, _) => Text(v),
        ["safe"] = (v, _, _) => v,
        ["int"] = (v, a, n) => ToInteger(v, Argument(a, n, 0, "default") ?? 0L),
        ["float"] = (v, a, n) => ToFloat(v, Argument(a, n, 0, "default") ?? 0.0),
        ["abs"] = (v, _, _) => v is double d ? Math.Abs(d) : v is long l ? (object)Math.Abs(l) : throw ChatTemplateValues.Error("abs needs a number"),
        ["list"] = (v, _, _) => ChatTemplateValues.Items(v).ToList(),
        ["items"] = (v, _, _) => v is TemplateUndefined ? new List<object?>() : Pairs(v),
        ["dictsort"] = (v, a, n) => Sort(Pairs(v), [Argument(a, n, 2, "reverse"), Argument(a, n, 0, "case_sensitive"), Argument(a, n, 1, "by") is "value" ? 1L : 0L], new Dictionary<string, object?>()),
        ["first"] = (v, _, _) => ChatTemplateValues.Items(v) is { Count: > 0 } items ? items[0] : new TemplateUndefined("the first item"),
        ["last"] = (v, _, _) => ChatTemplateValues.Items(v) is { Count: > 0 } items ? items[^1] : new TemplateUndefined("the last item"),
        ["reverse"] = (v, _, _) => v is string s ? string.Concat(ChatTemplateValues.Items(s).Cast<string>().Reverse()) : ChatTemplateValues.Items(v).AsEnumerable().Reverse().ToList(),
        ["unique"] = (v, _, _) => Unique(ChatTemplateValues.Items(v)),
        ["sort"] = Sort,
        ["sum"] = (v, a, n) => Attributes(v, Argument(a, n, 0, "attribute")).Aggregate(Argument(a, n, 1, "start") ?? 0L, (x, y) => ChatTemplateArithmetic.Apply("+", x, y, 0)),
        ["min"] = (v, a, n) => Sort(v, [null, Argument(a, n, 0, "case_sensitive"), Argument(a, n, 1, "attribute")], n).FirstOrDefault(new TemplateUndefined("the smallest item")),
        ["max"] = (v, a, n) => Sort(v, [true, Argument(a, n, 0, "case_sensitive"), Argument(a, n, 1, "attribute")], n).FirstOrDefault(new TemplateUndefined("the largest item")),
        ["join"] = (v, a, n) => string.Join(
            ChatTemplateValues.Print(Argument(a, n, 0, "d") ?? ""), Attributes(v, Argument(a, n, 1, "attribute")).Select(ChatTemplateValues.Print)),
        ["default"] = (v, a, n) => v is TemplateUndefined || (ChatTemplateValues.IsTrue(Argument(a, n, 1, "boolean")) && !ChatTemplateValues.IsTrue(v))
            ? Argument(a, n, 0, "default_value") ?? (a.Count > 0 ? null : "") : v,
        ["map"] = Map,
        ["select"] = (v, a, _) => Select(v, a, byAttribute: false, keep: true),
        ["reject"] = (v, a, _) => Select(v, a, byAttribute: false, keep: false),
        ["selectattr"] = (v, a, _) => Select(v, a, byAttribute: true, keep: true),
        ["rejectattr"] = (v, a, _) => Select(v, a, byAttribute: true, keep: false),
        ["indent"] = (v, a, n) => Indent(Text(v), Argument(a, n, 0, "width"), ChatTemplateValues.IsTrue(Argument(a, n, 1, "first")), ChatTemplateValues.IsTrue(Argument(a, n, 2, "blank"))),
    };

    static ChatTemplateFilters()
    {
        Filters["count"] = Filters["length"];
        Filters["d"] = Filters["default"];
        Filters["e"] = Filters["escape"];
    }

    public static bool Exists(string name) => Filters.ContainsKey(name);

    public static object? Apply(string name, object? value, IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named) =>
        Filters.TryGetValue(name, out Filter? filter)
            ? filter(value, positional, named)
            : throw ChatTemplateValues.Error($"the filter '{name}' is not supported");

    private static object? Argument(IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named, int at, string name) =>
        at < positional.Count ? positional[at] : named.GetValueOrDefault(name);

    private static string Text(object? value) => ChatTemplateValues.Print(value);

    private static object ToInteger(object? value, object fallback) => value switch
    {
        long or bool => ChatTemplateValues.ToLong(value),
        double d when double.IsFinite(d) => (long)d,
        string s when long.TryParse(s.Trim(), CultureInfo.InvariantCulture, out long n) => n,
        string s when double.TryParse(s.Trim(), CultureInfo.InvariantCulture, out double d) && double.IsFinite(d) => (long)d,
        _ => fallback,
    };

    private static object ToFloat(object? value, object fallback) => value switch
    {
        long or bool or double => ChatTemplateValues.ToDouble(value),
        string s when double.TryParse(s.Trim(), CultureInfo.InvariantCulture, out double d) => d,
        _ => fallback,
    };

    private static List<object?> Pairs(object? value) => value is TemplateMap map
        ? map.Select(object? (e) => new TemplateTuple([e.Key, e.Value])).ToList()
        : throw ChatTemplateValues.Error($"a mapping is needed, not {ChatTemplateValues.TypeName(value)}");

    private static List<object?> Unique(List<object?> items)
    {
        List<object?> unique = [];
        static object? Key(object? item) => item is string s ? s.ToLowerInvariant() : item;
        foreach (object? item in items)
            if (!unique.Any(u => ChatTemplateValues.AreEqual(Key(u), Key(item))))
                unique.Add(item);
        return unique;
    }

    private static List<object?> Sort(object? value, IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named)
    {
        bool descending = ChatTemplateValues.IsTrue(Argument(positional, named, 0, "reverse"));
        bool caseSensitive = ChatTemplateValues.IsTrue(Argument(positional, named, 1, "case_sensitive"));
        object? attribute = Argument(positional, named, 2, "attribute");
        Comparer<object?> order = Comparer<object?>.Create(ChatTemplateValues.Compare);
        object? Key(object? item)
        {
            object? key = attribute is null ? item : ChatTemplateValues.Path(item, attribute);
            return key is string s && !caseSensitive ? s.ToLowerInvariant() : key;
        }
        List<object?> items = ChatTemplateValues.Items(value);
        return (descending ? items.OrderByDescending(Key, order) : items.OrderBy(Key, order)).ToList();
    }

    private static IEnumerable<object?> Attributes(object? value, object? attribute) =>
        ChatTemplateValues.Items(value).Select(item => attribute is null ? item : ChatTemplateValues.Path(item, attribute));

    private static List<object?> Map(object? value, IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named)
    {
        if (named.TryGetValue("attribute", out object? attribute))
            return Attributes(value, attribute)
                .Select(v => v is TemplateUndefined && named.TryGetValue("default", out object? fallback) ? fallback : v).ToList();
        if (positional.Count == 0 || positional[0] is not string filter)
            throw ChatTemplateValues.Error("map needs the name of a filter, or attribute=");
        return ChatTemplateValues.Items(value).Select(v => Apply(filter, v, positional.Skip(1).ToList(), named)).ToList();
    }

    private static List<object?> Select(object? value, IReadOnlyList<object?> arguments, bool byAttribute, bool keep)
    {
        if (byAttribute && arguments.Count == 0)
            throw ChatTemplateValues.Error("selectattr and rejectattr need the name of an attribute");
        object? attribute = byAttribute ? arguments[0] : null;
        List<object?> test = arguments.Skip(byAttribute ? 1 : 0).ToList();
        return ChatTemplateValues.Items(value).Where(item =>
        {
            object? tested = byAttribute ? ChatTemplateValues.Path(item, attribute) : item;
            bool passes = test.Count == 0
                ? ChatTemplateValues.IsTrue(tested)
                : ChatTemplateTests.Apply(ChatTemplateValues.Print(test[0]), tested, test.Skip(1).ToList());
            return passes == keep;
        }).ToList();
    }

    /// <summary>Capital letters at the beginnings of words, which the filter sees after fewer characters than Python's method.</summary>
    private static string Title(string text)
    {
        char[] letters = text.ToLowerInvariant().ToCharArray();
        for (int i = 0; i < letters.Length; i++)
            if (i == 0 || char.IsWhiteSpace(letters[i - 1]) || "-({[<".Contains(letters[i - 1]))
                letters[i] = char.ToUpperInvariant(letters[i]);
        return new string(letters);
    }

    private static string Escape(string text) => text.Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal)
        .Replace(">", "&gt;", StringComparison.Ordinal).Replace("'", "&#39;", StringComparison.Ordinal).Replace("\"", "&#34;", StringComparison.Ordinal);

    private static object? Round(object? value, IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named)
    {
        if (!ChatTemplateValues.IsNumber(value))
            throw ChatTemplateValues.Error("round needs a number");
        int digits = Math.Clamp(ChatTemplateValues.ToInt(Argument(positional, named, 0, "precision") ?? 0L, "the precision of round"), 0, 15);
        double number = ChatTemplateValues.ToDouble(value);
        double scale = Math.Pow(10, digits);
        return (Argument(positional, named, 1, "method") as string ?? "common") switch
        {
            "common" => value is double ? Math.Round(number, digits, MidpointRounding.ToEven) : value,
            "ceil" => Math.Ceiling(number * scale) / scale,
            "floor" => Math.Floor(number * scale) / scale,
            _ => throw ChatTemplateValues.Error("the method of round is common, ceil or floor"),
        };
    }

    private static string Indent(string text, object? width, bool first, bool blank)
    {
        string blanks = width as string ?? new string(' ', Math.Clamp(width is null ? 4 : ChatTemplateValues.ToInt(width, "the width of indent"), 0, 1000));
        IEnumerable<string> lines = text.Split('\n').Select((line, i) => (line.Length == 0 && !blank) || (i == 0 && !first) ? line : blanks + line);
        return string.Join('\n', lines);
    }
}
