using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Labeling.Training.Tokenizers;

/// <summary>The <c>tojson</c> filter as Hugging Face's templates have it: Python's json.dumps with ensure_ascii off.</summary>
internal static class ChatTemplateJson
{
    /// <summary>JSON as the values a template works with.</summary>
    public static object? Read(JsonElement json)
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.String: return json.GetString();
            case JsonValueKind.True: return true;
            case JsonValueKind.False: return false;
            case JsonValueKind.Number: return json.TryGetInt64(out long integer) ? integer : json.GetDouble();
            case JsonValueKind.Array: return json.EnumerateArray().Select(Read).ToList();
            case JsonValueKind.Object:
                TemplateMap map = [];
                foreach (JsonProperty property in json.EnumerateObject())
                    map[property.Name] = Read(property.Value);
                return map;
            default: return null;
        }
    }

    public static string Write(object? value, object? indent)
    {
        StringBuilder json = new();
        int? width = indent is null ? null : Math.Clamp(ChatTemplateValues.ToInt(indent, "the indent of tojson"), 0, 100);
        Write(value, json, width, 0);
        return json.ToString();
    }

    private static void Write(object? value, StringBuilder json, int? indent, int depth)
    {
        switch (value)
        {
            case null: json.Append("null"); break;
            case bool b: json.Append(b ? "true" : "false"); break;
            case long n: json.Append(n.ToString(CultureInfo.InvariantCulture)); break;
            case double d: json.Append(ChatTemplateValues.FloatText(d)); break;
            case string s: WriteText(s, json); break;
            case List<object?> list:
                WriteItems(list, '[', ']', item => Write(item, json, indent, depth + 1), json, indent, depth);
                break;
            case TemplateMap map:
                WriteItems(map.ToList(), '{', '}', entry =>
                {
                    WriteText(entry.Key, json);
                    json.Append(": ");
                    Write(entry.Value, json, indent, depth + 1);
                }, json, indent, depth);
                break;
            default:
                throw ChatTemplateValues.Error($"a {ChatTemplateValues.TypeName(value)} cannot be written as JSON");
        }
    }

    private static void WriteItems<T>(List<T> items, char open, char close, Action<T> write, StringBuilder json, int? indent, int depth)
    {
        json.Append(open);
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0)
                json.Append(indent is null ? ", " : ",");
            if (indent is { } width)
                json.Append('\n').Append(' ', width * (depth + 1));
            write(items[i]);
        }
        if (indent is { } outer && items.Count > 0)
            json.Append('\n').Append(' ', outer * depth);
        json.Append(close);
    }

    private static void WriteText(string text, StringBuilder json)
    {
        json.Append('"');
        foreach (char c in text)
        {
            string? escape = c switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\b' => "\\b",
                '\f' => "\\f",
                < ' ' => $"\\u{(int)c:x4}",
                _ => null,
            };
            if (escape is null)
                json.Append(c);
            else
                json.Append(escape);
        }
        json.Append('"');
    }
}
