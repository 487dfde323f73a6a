using System.Globalization;
using System.Text;
using System.Text.Json;
using static Labeling.Training.Tokenizers.JsonFields;

namespace Labeling.Training.Tokenizers;

/// <summary>The <c>decoder</c> of tokenizer.json: token texts to text, step after step.</summary>
internal sealed class TokenDecoder
{
    private const char Unreadable = '\ufffd';

    private readonly Func<List<string>, List<string>>[] steps;
    private readonly string between;

    private TokenDecoder(Func<List<string>, List<string>>[] steps, string between) => (this.steps, this.between) = (steps, between);

    /// <exception cref="InvalidDataException">A step is not supported.</exception>
    public static TokenDecoder Read(JsonElement? decoder) =>
        // Without a decoder, the reference implementation puts spaces between tokens.
        new([.. Steps(decoder, "decoders").Select(Step)], decoder is null ? " " : "");

    public string Decode(IEnumerable<string> tokens) => string.Join(between, steps.Aggregate(tokens.ToList(), (list, step) => step(list)));

    private static Func<List<string>, List<string>> Step(JsonElement step)
    {
        switch (Text(step, "type"))
        {
            case "ByteLevel":
                return list => [Encoding.UTF8.GetString([.. list.SelectMany(ByteLevel.BytesOrUtf8)])];
            case "ByteFallback": return JoinBytes;
            case "Fuse": return list => [string.Concat(list)];
            case "Replace":
                var pattern = Pattern(step, "decoder");
                var content = Text(step, "content") ?? throw Bad("decoder.content", "is missing");
                return list => [.. list.Select(t => pattern.Replace(t, content))];
            case "Strip":
                var character = Text(step, "content") is { Length: 1 } one ? one[0] : throw Bad("decoder.content", "is not one character");
                var (start, stop) = (Int(step, "start", 0), Int(step, "stop", 0));
                return list => [.. list.Select(t => Strip(t, character, start, stop))];
            case "Metaspace":
                var (replacement, prepend, _) = PreTokenizerJson.Metaspace(step, "decoder");
                return list => [.. list.Select((t, i) => t.Replace(replacement, i == 0 && prepend != "never" ? "" : " ", StringComparison.Ordinal))];
            case "BPEDecoder":
                var suffix = Text(step, "suffix") ?? "</w>";
                return list => [.. list.Select((t, i) => t.Replace(suffix, i == list.Count - 1 ? "" : " ", StringComparison.Ordinal))];
            case var type:
                throw Bad("decoder", $"step '{type}' is not supported");
        }
    }

    /// <summary>Joins runs of byte tokens (&lt;0x0A&gt;) into text; a run that is not valid UTF-8 becomes one U+FFFD per byte.</summary>
    private static List<string> JoinBytes(List<string> tokens)
    {
        var joined = new List<string>(tokens.Count);
        var bytes = new List<byte>();
        foreach (var token in tokens)
        {
            if (ByteToken(token) is { } b)
            {
                bytes.Add(b);
                continue;
            }
            Flush();
            joined.Add(token);
        }
        Flush();
        return joined;

        void Flush()
        {
            if (bytes.Count == 0)
            {
                return;
            }
            joined.Add(System.Text.Unicode.Utf8.IsValid(bytes.ToArray()) ? Encoding.UTF8.GetString(bytes.ToArray()) : new string(Unreadable, bytes.Count));
            bytes.Clear();
        }
    }

    /// <summary>The byte a token such as &lt;0x0A&gt; stands for.</summary>
    public static byte? ByteToken(string token) =>
        token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
        && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var b) ? b : null;

    private static string Strip(string text, char character, int start, int stop)
    {
        var from = 0;
        while (from < start && from < text.Length && text[from] == character)
        {
            from++;
        }
        var to = text.Length;
        while (text.Length - to < stop && to > from && text[to - 1] == character)
        {
            to--;
        }
        return text[from..to];
    }
}
