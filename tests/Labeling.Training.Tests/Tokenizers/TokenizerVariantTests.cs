using System.Text.Json.Nodes;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Tests.Tokenizers;

/// <summary>Every step that published tokenizer files use, one variant each, with the ids of Hugging Face's own library.</summary>
public class TokenizerVariantTests
{
    private static readonly JsonArray Variants =
        JsonNode.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Golden", "tokenizer_variants.json")))!["variants"]!.AsArray();

    public static TheoryData<string> Names => [.. Variants.Select(v => v!["name"]!.GetValue<string>())];

    [Theory, MemberData(nameof(Names))]
    public void Ids_and_texts_are_those_of_the_reference_implementation(string name)
    {
        var variant = Variants.Single(v => v!["name"]!.GetValue<string>() == name)!;
        var tokenizer = new Tokenizer(TokenizerJson.Read(Written(variant), null, "tokenizer.json", "none"));
        foreach (var test in variant["cases"]!.AsArray())
        {
            var text = test!["text"]!.GetValue<string>();
            var ids = Ints(test["ids"]!);
            var encoded = tokenizer.Encode(text, allowSpecial: true);
            Assert.True(ids.SequenceEqual(encoded), $"'{text}': expected [{string.Join(',', ids)}], got [{string.Join(',', encoded)}]");
            if (test["ids_with_special"] is { } special)
            {
                Assert.Equal(Ints(special), tokenizer.WithSpecialTokens(encoded));
            }
            if (test["decoded"] is { } decoded)
            {
                Assert.Equal(decoded.GetValue<string>(), tokenizer.Decode(ids));
            }
        }
    }

    private static byte[] Written(JsonNode variant)
    {
        var json = variant["base"] is { } name
            ? JsonNode.Parse(File.ReadAllText(Path.Combine(TokenizerTests.Folder(name.GetValue<string>()), "tokenizer.json")))!.AsObject()
            : new JsonObject { ["model"] = new JsonObject() };
        foreach (var (field, value) in variant["fields"]!.AsObject())
        {
            json[field] = value?.DeepClone();
        }
        foreach (var (field, value) in variant["model"]!.AsObject())
        {
            json["model"]![field] = value?.DeepClone();
        }
        if (variant["without_token"] is { } token)
        {
            json["model"]!["vocab"]!.AsObject().Remove(token.GetValue<string>());
        }
        return System.Text.Encoding.UTF8.GetBytes(json.ToJsonString());
    }

    private static int[] Ints(JsonNode list) => [.. list.AsArray().Select(i => i!.GetValue<int>())];
}
