namespace Labeling.Training.Tokenizers;

/// <summary>Functions every template may call.</summary>
internal static class ChatTemplateFunctions
{
    public static IEnumerable<(string Name, TemplateFunction Function)> All =>
    [
        ("raise_exception", (a, _) => throw new ChatTemplateException(ChatTemplateValues.Print(a.Count > 0 ? a[0] : ""))),
        ("namespace", Namespace),
        ("range", Range),
        ("dict", Map),
        ("strftime_now", (a, _) => StrftimeNow(a.Count > 0 ? a[0] as string ?? "" : "")),
    ];

    private static TemplateNamespace Namespace(IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named)
    {
        TemplateNamespace ns = new();
        foreach (TemplateMap map in positional.OfType<TemplateMap>())
            foreach ((string key, object? value) in map)
                ns.Attributes[key] = value;
        foreach ((string key, object? value) in named)
            ns.Attributes[key] = value;
        return ns;
    }

    private static TemplateMap Map(IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named)
    {
        TemplateMap map = [];
        foreach (TemplateMap given in positional.OfType<TemplateMap>())
            foreach ((string key, object? value) in given)
                map[key] = value;
        foreach ((string key, object? value) in named)
            map[key] = value;
        return map;
    }

    private static List<object?> Range(IReadOnlyList<object?> a, IReadOnlyDictionary<string, object?> named)
    {
        // Jinja's sandbox sets the same limit.
        const int maxItems = 100_000;
        if (a.Count is < 1 or > 3)
            throw ChatTemplateValues.Error("range takes one to three integers");
        int start = a.Count == 1 ? 0 : ChatTemplateValues.ToInt(a[0], "the start of a range");
        int stop = ChatTemplateValues.ToInt(a[a.Count == 1 ? 0 : 1], "the end of a range");
        int step = a.Count == 3 ? ChatTemplateValues.ToInt(a[2], "the step of a range") : 1;
        if (step == 0)
            throw ChatTemplateValues.Error("the step of a range cannot be 0");
        List<object?> items = [];
        for (long i = start; step > 0 ? i < stop : i > stop; i += step)
        {
            if (items.Count == maxItems)
                throw ChatTemplateValues.Error($"a range may not have more than {maxItems} items");
            items.Add(i);
        }
        return items;
    }

    private static string StrftimeNow(string format)
    {
        DateTime now = DateTime.Now;
        System.Text.StringBuilder text = new();
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }
            // A minus sign leaves out the leading zero.
            bool bare = format[i + 1] == '-' && i + 2 < format.Length;
            i += bare ? 2 : 1;
            string part = format[i] switch
            {
                'Y' => now.ToString("yyyy"),
                'm' => now.ToString("MM"),
                'd' => now.ToString("dd"),
                'b' => now.ToString("MMM"),
                'B' => now.ToString("MMMM"),
                'a' => now.ToString("ddd"),
                'A' => now.ToString("dddd"),
                'H' => now.ToString("HH"),
                'M' => now.ToString("mm"),
                'S' => now.ToString("ss"),
                'y' => now.ToString("yy"),
                'I' => now.ToString("hh"),
                'p' => now.Hour < 12 ? "AM" : "PM",
                'j' => now.DayOfYear.ToString("000"),
                'e' => now.Day.ToString().PadLeft(2),
                'F' => now.ToString("yyyy-MM-dd"),
                'T' => now.ToString("HH:mm:ss"),
                '%' => "%",
                var other => throw ChatTemplateValues.Error($"strftime_now does not know %{other}"),
            };
            text.Append(bare && part.Length > 1 ? part.TrimStart('0', ' ') : part);
        }
        return text.ToString();
    }
}
