using System.Text.Json;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Checks;

/// <summary>A tokenizer folder against the ids and texts of another implementation.</summary>
internal static class TokenizerCheck
{
    public static List<Comparison> Run(GoldenFile golden)
    {
        var tokenizer = Tokenizer.FromFolder(golden.Folder);
        var (ids, withSpecial) = (Comparison.Exact("ids"), Comparison.Exact("ids_with_special"));
        var (decoded, withoutSpecial, pieces) = (Comparison.Exact("decoded"), Comparison.Exact("decoded_skip_special"), Comparison.Exact("decode_cases"));
        var n = 0;
        foreach (var test in golden.Cases)
        {
            var place = $"cases[{n++}]";
            var text = test.GetProperty("text").GetString()!;
            var expected = Ints(test.GetProperty("ids"));
            var encoded = tokenizer.Encode(text, allowSpecial: true);
            Compare(ids, expected, encoded, $"{place} {Quoted(text)}");
            Compare(withSpecial, GoldenFile.Given(test, "ids_with_special") ? Ints(test.GetProperty("ids_with_special")) : expected, tokenizer.WithSpecialTokens(encoded), $"{place} {Quoted(text)}");
            Text(decoded, test, "decoded", place, () => tokenizer.Decode(expected));
            Text(withoutSpecial, test, "decoded_skip_special", place, () => tokenizer.Decode(expected, skipSpecial: true));
        }
        n = 0;
        if (GoldenFile.Given(golden.Root, "decode_cases"))
        {
            foreach (var test in golden.Root.GetProperty("decode_cases").EnumerateArray())
            {
                Text(pieces, test, "decoded", $"decode_cases[{n++}]", () => tokenizer.Decode(Ints(test.GetProperty("ids"))));
            }
        }
        return [ids, withSpecial, decoded, withoutSpecial, pieces];
    }

    public static int[] Ints(JsonElement list) => [.. list.EnumerateArray().Select(i => i.GetInt32())];

    public static void Compare(Comparison comparison, int[] expected, int[] actual, string place) =>
        comparison.AddExact(expected.AsSpan().SequenceEqual(actual), () =>
        {
            var at = expected.AsSpan().CommonPrefixLength(actual);
            static string Token(int[] ids, int at) => at < ids.Length ? ids[at].ToString() : "the end";
            return $"{place}: token {at} is {Token(actual, at)}, expected {Token(expected, at)}";
        });

    public static void Compare(Comparison comparison, string expected, string actual, string place) =>
        comparison.AddExact(expected == actual, () =>
        {
            var at = expected.AsSpan().CommonPrefixLength(actual);
            static string Rest(string text, int at) => Quoted(text[Math.Max(0, at - 10)..]);
            return $"{place}: character {at} on, expected {Rest(expected, at)}, got {Rest(actual, at)}";
        });

    /// <summary>A text for the report: as JSON, cut when long.</summary>
    public static string Quoted(string text) => JsonSerializer.Serialize(text.Length > 60 ? text[..60] + "..." : text);

    private static void Text(Comparison comparison, JsonElement test, string field, string place, Func<string> actual)
    {
        if (GoldenFile.Given(test, field))
        {
            Compare(comparison, test.GetProperty(field).GetString()!, actual(), place);
        }
    }
}
