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
            case JsonValueKind.Number: return json.TryGetInt64(out long integer) ? (object)integer : json.GetDouble();
            case JsonValueKind.Array: return json.EnumerateArray().Select(Read).ToList();
            case JsonValueKind.Object:
                TemplateMap map = [];
                foreach (JsonProperty property in json.EnumerateObject())
                    map[property.Name] = Read(property.Value);
                return map;
            default: return null;
        }
    }

    /// <summary>The filter with its arguments, in the order of transformers: ensure_ascii, indent, separators, sort_keys.</summary>
    public static string Write(object? value, IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named)
    {
        object? Argument(int at, string name) => at < positional.Count ? positional[at] : named.GetValueOrDefault(name);
        // Jinja's own filter has the indent first, and templates write it so.
        object? indent = positional is [long or string] ? positional[0] : Argument(1, "indent");
        Writer writer = new()
        {
            Ascii = positional is not [long or string] && ChatTemplateValues.IsTrue(Argument(0, "ensure_ascii")),
            Indent = indent is null ? null : indent as string ?? new string(' ', Math.Clamp(ChatTemplateValues.ToInt(indent, "the indent of tojson"), 0, 100)),
            SortKeys = ChatTemplateValues.IsTrue(Argument(3, "sort_keys")),
        };
        if (writer.Indent is not null)
            writer.Comma = ",";
        if (Argument(2, "separators") is List<object?> { Count: 2 } separators)
            (writer.Comma, writer.Colon) = (ChatTemplateValues.Print(separators[0]), ChatTemplateValues.Print(separators[1]));
        writer.Write(value, 0);
        return writer.ToString();
    }

    private sealed class Writer
    {
        private readonly StringBuilder _json = new();

        public bool Ascii { get; init; }
        public string? Indent { get; init; }
        public bool SortKeys { get; init; }
        public string Comma { get; set; } = ", ";
        public string Colon { get; set; } = ": ";

        public override string ToString() => _json.ToString();

        public void Write(object? value, int depth)
        {
            System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
            switch (value)
            {
                case null: _json.Append("null"); break;
                case bool b: _json.Append(b ? "true" : "false"); break;
                case long n: _json.Append(n.ToString(CultureInfo.InvariantCulture)); break;
                case double d: _json.Append(ChatTemplateValues.FloatText(d)); break;
                case string s: WriteText(s, _json, Ascii); break;
                case List<object?> list:
                    WriteItems(list, '[', ']', item => Write(item, depth + 1), depth);
                    break;
                case TemplateMap map:
                    WriteItems(SortKeys ? map.OrderBy(e => e.Key, StringComparer.Ordinal).ToList() : map.ToList(), '{', '}', entry =>
                    {
                        WriteText(entry.Key, _json, Ascii);
                        _json.Append(Colon);
                        Write(entry.Value, depth + 1);
                    }, depth);
                    break;
                default:
                    throw ChatTemplateValues.Error($"a {ChatTemplateValues.TypeName(value)} cannot be written as JSON");
            }
        }

        private void WriteItems<T>(List<T> items, char open, char close, Action<T> write, int depth)
        {
            _json.Append(open);
            for (int i = 0; i < items.Count; i++)
            {
                if (i > 0)
                    _json.Append(Comma);
                NewLine(depth + 1);
                write(items[i]);
            }
            if (items.Count > 0)
                NewLine(depth);
            _json.Append(close);
        }

        private void NewLine(int depth)
        {
            if (Indent is null)
                return;
            _json.Append('\n');
            for (int i = 0; i < depth; i++)
                _json.Append(Indent);
        }
    }

    private static void WriteText(string text, StringBuilder json, bool ascii)
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
                > '~' when ascii => $"\\u{(int)c:x4}",
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
