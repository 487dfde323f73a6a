using System.Globalization;
using System.Text;

namespace Labeling.Training.Tokenizers;

/// <summary>The parts of Python's string formatting that templates use: <c>'%s %d %.2f'</c> and <c>'{} {0} {name}'</c>.</summary>
internal static class ChatTemplateFormat
{
    public static string Percent(string pattern, IReadOnlyList<object?> values)
    {
        StringBuilder text = new();
        int next = 0;
        for (int at = 0; at < pattern.Length; at++)
        {
            if (pattern[at] != '%')
            {
                text.Append(pattern[at]);
                continue;
            }
            int start = ++at;
            while (at < pattern.Length && (char.IsAsciiDigit(pattern[at]) || pattern[at] is '-' or '.'))
                at++;
            if (at >= pattern.Length)
                throw ChatTemplateValues.Error($"'{pattern}' ends in the middle of a %");
            if (pattern[at] == '%')
            {
                text.Append('%');
                continue;
            }
            if (next >= values.Count)
                throw ChatTemplateValues.Error($"'{pattern}' needs more than {values.Count} values");
            text.Append(Padded(Converted(pattern[at], values[next++], pattern[start..at]), pattern[start..at]));
        }
        return next == values.Count ? text.ToString() : throw ChatTemplateValues.Error($"'{pattern}' needs {next} values, not {values.Count}");
    }

    public static string Braces(string pattern, IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named)
    {
        StringBuilder text = new();
        int next = 0;
        for (int at = 0; at < pattern.Length; at++)
        {
            char c = pattern[at];
            if (c is '{' or '}' && at + 1 < pattern.Length && pattern[at + 1] == c)
            {
                text.Append(c);
                at++;
                continue;
            }
            if (c != '{')
            {
                text.Append(c);
                continue;
            }
            int end = pattern.IndexOf('}', at);
            string name = end < 0 ? throw ChatTemplateValues.Error($"'{pattern}' has a brace that is not closed") : pattern[(at + 1)..end];
            object? value = name.Length == 0 && next < positional.Count ? positional[next++]
                : int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int index) && index < positional.Count ? positional[index]
                : named.TryGetValue(name, out object? given) ? given
                : throw ChatTemplateValues.Error($"format has no value for '{{{name}}}'");
            text.Append(ChatTemplateValues.Print(value));
            at = end;
        }
        return text.ToString();
    }

    private static string Converted(char conversion, object? value, string options)
    {
        if (conversion is 's' or 'r')
            return conversion == 's' ? ChatTemplateValues.Print(value) : ChatTemplateValues.Repr(value);
        if (!ChatTemplateValues.IsNumber(value))
            throw ChatTemplateValues.Error($"%{conversion} needs a number, not {ChatTemplateValues.TypeName(value)}");
        int digits = options.IndexOf('.') is var dot and >= 0 && int.TryParse(options.AsSpan(dot + 1), CultureInfo.InvariantCulture, out int given) ? Math.Min(given, 30) : 6;
        return conversion switch
        {
            'd' or 'i' => (value is double d ? (long)d : ChatTemplateValues.ToLong(value)).ToString(CultureInfo.InvariantCulture),
            'f' => ChatTemplateValues.ToDouble(value).ToString("F" + digits, CultureInfo.InvariantCulture),
            'x' => ChatTemplateValues.ToLong(value).ToString("x", CultureInfo.InvariantCulture),
            _ => throw ChatTemplateValues.Error($"%{conversion} is not supported; supported are s, r, d, i, f and x"),
        };
    }

    private static string Padded(string text, string options)
    {
        string size = options.Split('.')[0];
        int width = int.TryParse(size.TrimStart('-'), CultureInfo.InvariantCulture, out int given) ? Math.Min(given, 1000) : 0;
        return size.StartsWith('-') ? text.PadRight(width) : text.PadLeft(width, size.StartsWith('0') ? '0' : ' ');
    }
}
