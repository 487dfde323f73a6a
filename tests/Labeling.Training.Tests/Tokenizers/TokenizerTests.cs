using System.Text.Json;
using CsCheck;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Tests.Tokenizers;

public class TokenizerTests
{
    public static string Folder(string name) => Path.Combine(AppContext.BaseDirectory, "Golden", "tokenizers", name);

    [Theory]
    [InlineData("gpt2", 193)]
    [InlineData("bpe_llama3_chatml", 193)]
    [InlineData("bpe_qwen2_nfc", 193)]
    [InlineData("spbpe_llama2", 193)]
    public void Ids_and_decoded_text_are_those_of_the_reference_implementation(string name, int cases)
    {
        var tokenizer = Tokenizer.FromFolder(Folder(name));
        using var golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder(name), "golden.json")));
        var seen = 0;
        foreach (var c in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            var text = c.GetProperty("text").GetString()!;
            var ids = Ints(c.GetProperty("ids"));
            var encoded = tokenizer.Encode(text, allowSpecial: true);
            Assert.True(ids.SequenceEqual(encoded), $"'{text}': expected [{string.Join(',', ids)}], got [{string.Join(',', encoded)}]");
            var withSpecial = c.TryGetProperty("ids_with_special", out var w) ? Ints(w) : ids;
            Assert.Equal(withSpecial, tokenizer.WithSpecialTokens(encoded));
            Assert.Equal(c.GetProperty("decoded").GetString(), tokenizer.Decode(ids));
            Assert.Equal(c.GetProperty("decoded_skip_special").GetString(), tokenizer.Decode(ids, skipSpecial: true));
            seen++;
        }
        Assert.Equal(cases, seen);
    }

    [Theory]
    [InlineData("gpt2", 36)]
    [InlineData("bpe_llama3_chatml", 34)]
    [InlineData("bpe_qwen2_nfc", 34)]
    public void Ids_cut_inside_a_character_decode_as_the_reference_does(string name, int cases)
    {
        var tokenizer = Tokenizer.FromFolder(Folder(name));
        using var golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder(name), "golden.json")));
        var list = golden.RootElement.GetProperty("decode_cases").EnumerateArray().ToList();
        Assert.Equal(cases, list.Count);
        Assert.All(list, c => Assert.Equal(c.GetProperty("decoded").GetString(), tokenizer.Decode(Ints(c.GetProperty("ids")))));
    }

    private static Gen<string> AnyText()
    {
        var scalar = Gen.Int[0, 0x10FFFF].Where(v => v is < 0xD800 or > 0xDFFF).Select(char.ConvertFromUtf32);
        var common = Gen.Int[0, 13].Select(i => new[] { " ", "\n", "\r\n", "a", "é", "1", "'s", "<|endoftext|>", "\0", "語", "👩‍👩‍👧", "  ", "<s>", "e\u0301" }[i]);
        return Gen.OneOf(scalar, common).Array[0, 60].Select(parts => string.Concat(parts));
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("bpe_llama3_chatml")]
    public void Any_unicode_text_survives_encoding_and_decoding(string name)
    {
        var tokenizer = Tokenizer.FromFolder(Folder(name));
        AnyText().Sample(text =>
            tokenizer.Decode(tokenizer.Encode(text)) == text && tokenizer.Decode(tokenizer.Encode(text, allowSpecial: true)) == text, iter: 2000);
    }

    [Fact]
    public void With_a_normaliser_the_normalised_text_survives()
    {
        var tokenizer = Tokenizer.FromFolder(Folder("bpe_qwen2_nfc"));
        AnyText().Sample(text => tokenizer.Decode(tokenizer.Encode(text)) == UnicodeNormalizer.Compose(text, compatibility: false), iter: 1000);
    }

    [Theory]
    [InlineData("gpt2")]
    [InlineData("bpe_llama3_chatml")]
    [InlineData("bpe_qwen2_nfc")]
    [InlineData("spbpe_llama2")]
    public void No_text_becomes_a_special_token_unless_asked(string name)
    {
        var tokenizer = Tokenizer.FromFolder(Folder(name));
        var specials = tokenizer.AddedTokens.Where(t => t.Special).Select(t => t.Content).ToArray();
        var special = Gen.Int[0, specials.Length - 1].Select(i => specials[i]);
        Gen.Select(AnyText(), special, AnyText()).Sample((before, token, after) =>
        {
            var text = before + token + after;
            return !tokenizer.Encode(text).Any(tokenizer.IsSpecial)
                && tokenizer.Encode(text, allowSpecial: true).Any(tokenizer.IsSpecial)
                && !tokenizer.Encode(text, allowSpecial: true, [(0, text.Length)]).Any(tokenizer.IsSpecial)
                && tokenizer.Encode(token + token, allowSpecial: true, [(0, token.Length)]).Count(tokenizer.IsSpecial) == 1;
        }, iter: 500);
    }

    [Fact]
    public void Special_token_text_stays_ordinary_text_unless_asked()
    {
        var tokenizer = Tokenizer.FromFolder(Folder("gpt2"));
        Assert.DoesNotContain(50256, tokenizer.Encode("ignore this <|endoftext|> please"));
        Assert.Contains(50256, tokenizer.Encode("ignore this <|endoftext|> please", allowSpecial: true));
    }

    [Fact]
    public void Long_runs_are_merged_the_same_way_as_short_ones_and_fast()
    {
        var tokenizer = Tokenizer.FromFolder(Folder("gpt2"));
        var text = new string('a', 200_000);
        var watch = System.Diagnostics.Stopwatch.StartNew();
        Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"took {watch.Elapsed}");
    }

    [Fact]
    public void Half_a_surrogate_pair_is_refused_with_its_position() =>
        Assert.Contains("position 2", Assert.Throws<ArgumentException>(() => Tokenizer.FromFolder(Folder("gpt2")).Encode("ab\ud800")).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"model":{"type":"Unigram"}}""", "model.type")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}}""", "model.vocab['b']")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}}""", "model.merges[0]")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":"x"},"merges":[]}}""", "unexpected type")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"UnicodeScripts"}}""", "'UnicodeScripts' is not supported")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"normalizer":{"type":"Precompiled"}}""", "'Precompiled' is not supported")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"decoder":{"type":"CTC"}}""", "'CTC' is not supported")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"[a&&b]"},"behavior":"Isolated"}}""", "intersection of classes")]
    [InlineData("""{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated"}}""", "regular expression")]
    [InlineData("""{"model":{"type":"BPE","dropout":0.1,"vocab":{"a":0},"merges":[]}}""", "model.dropout")]
    [InlineData("""{"model":""", "not valid JSON")]
    public void A_damaged_or_foreign_file_is_refused_naming_file_and_field(string json, string expected)
    {
        var folder = Directory.CreateTempSubdirectory("tokenizer");
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "tokenizer.json"), json);
            var message = Assert.Throws<InvalidDataException>(() => Tokenizer.FromFolder(folder.FullName)).Message;
            Assert.Contains("tokenizer.json", message, StringComparison.Ordinal);
            Assert.Contains(expected, message, StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static int[] Ints(JsonElement list) => [.. list.EnumerateArray().Select(i => i.GetInt32())];
}
