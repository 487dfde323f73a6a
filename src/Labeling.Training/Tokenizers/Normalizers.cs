using System.Globalization;
using System.Text;
using System.Text.Json;
using static Labeling.Training.Tokenizers.JsonFields;

namespace Labeling.Training.Tokenizers;

/// <summary>The <c>normalizer</c> of tokenizer.json: what happens to a text before it is cut into pieces.</summary>
internal static class Normalizers
{
    /// <returns>Null where a text stays as it is.</returns>
    /// <exception cref="InvalidDataException">A step is not supported.</exception>
    public static Func<string, string>? Read(JsonElement? normalizer)
    {
        var steps = Steps(normalizer, "normalizers").Select(Step).ToArray();
        return steps.Length == 0 ? null : text => steps.Aggregate(text, (t, step) => step(t));
    }

    private static Func<string, string> Step(JsonElement step)
    {
        switch (Text(step, "type"))
        {
            case "NFC": return t => UnicodeNormalizer.Compose(t, compatibility: false);
            case "NFD": return t => UnicodeNormalizer.Decompose(t, compatibility: false);
            case "NFKC": return t => UnicodeNormalizer.Compose(t, compatibility: true);
            case "NFKD": return t => UnicodeNormalizer.Decompose(t, compatibility: true);
            case "Lowercase": return Lowercase;
            case "StripAccents": return t => OfRunes(t, r => IsMark(r) ? "" : null);
            case "Strip":
                var (left, right) = (Flag(step, "strip_left", true), Flag(step, "strip_right", true));
                return t => left && right ? t.Trim() : left ? t.TrimStart() : right ? t.TrimEnd() : t;
            case "Prepend":
                var prefix = Text(step, "prepend") ?? throw Bad("normalizer.prepend", "is missing");
                return t => t.Length == 0 ? t : prefix + t;
            case "Replace":
                var pattern = Pattern(step, "normalizer");
                var content = Text(step, "content") ?? throw Bad("normalizer.content", "is missing");
                return t => pattern.Replace(t, content);
            case "ByteLevel": return t => ByteLevel.ToText(Encoding.UTF8.GetBytes(t));
            case "Nmt": return t => OfRunes(t, Nmt);
            case var type: throw Bad("normalizer", $"step '{type}' is not supported");
        }
    }

    /// <summary>Character by character, without the context that a final sigma needs.</summary>
    private static string Lowercase(string text) => OfRunes(text, r => r.Value == 0x130 ? "i\u0307" : Rune.ToLowerInvariant(r).ToString());

    private static bool IsMark(Rune r) =>
        Rune.GetUnicodeCategory(r) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;

    private static string? Nmt(Rune r) => r.Value switch
    {
        (>= 0x01 and <= 0x08) or 0x0B or (>= 0x0E and <= 0x1F) or 0x7F or 0x8F or 0x9F => "",
        0x09 or 0x0A or 0x0C or 0x0D or 0x1680 or (>= 0x200B and <= 0x200F) or 0x2028 or 0x2029 or 0x2581 or 0xFEFF or 0xFFFD => " ",
        _ => null,
    };

    /// <summary>Replaces single characters; null keeps one.</summary>
    private static string OfRunes(string text, Func<Rune, string?> replace)
    {
        var result = new StringBuilder(text.Length);
        foreach (var r in text.EnumerateRunes())
        {
            result.Append(replace(r) ?? r.ToString());
        }
        return result.ToString();
    }
}
