using System.Text;
using System.Text.Json;
using static Labeling.Training.Tokenizers.JsonFields;

namespace Labeling.Training.Tokenizers;

/// <summary>Reads the <c>pre_tokenizer</c> of tokenizer.json.</summary>
internal static class PreTokenizerJson
{
    /// <exception cref="InvalidDataException">A step is not supported.</exception>
    public static PreTokenizer Read(JsonElement? element) => new([.. Steps(element, "pretokenizers").SelectMany(Step)]);

    /// <summary>Whether the pieces are spelled in GPT-2's stand-ins for bytes.</summary>
    public static bool IsByteLevel(JsonElement? element) => Steps(element, "pretokenizers").Any(step => Text(step, "type") == "ByteLevel");

    private static IEnumerable<Func<Piece, IEnumerable<Piece>>> Step(JsonElement step)
    {
        switch (Text(step, "type"))
        {
            case "ByteLevel":
                return PreTokenizer.Bytes(Flag(step, "add_prefix_space", true), Flag(step, "use_regex", true));
            case "Split":
                return [PreTokenizer.SplitBy(Pattern(step, "pre_tokenizer"), Behavior(step, null), Flag(step, "invert"))];
            case "Digits":
                return [PreTokenizer.SplitBy(TextPattern.Each(Rune.IsNumber), Flag(step, "individual_digits") ? SplitBehavior.Isolated : SplitBehavior.Contiguous)];
            case "Punctuation":
                return [PreTokenizer.SplitBy(TextPattern.Each(IsPunctuation), Behavior(step, SplitBehavior.Isolated))];
            case "Whitespace":
                return [PreTokenizer.SplitBy(TextPattern.Of(PreTokenizer.Words()), SplitBehavior.Removed, invert: true)];
            case "WhitespaceSplit":
                return [PreTokenizer.SplitBy(TextPattern.Each(Rune.IsWhiteSpace), SplitBehavior.Removed)];
            case "BertPreTokenizer":
                return
                [
                    PreTokenizer.SplitBy(TextPattern.Each(Rune.IsWhiteSpace), SplitBehavior.Removed),
                    PreTokenizer.SplitBy(TextPattern.Each(IsPunctuation), SplitBehavior.Isolated),
                ];
            case "CharDelimiterSplit":
                return [PreTokenizer.SplitBy(TextPattern.Literal(Text(step, "delimiter") ?? throw Bad("pre_tokenizer.delimiter", "is missing")), SplitBehavior.Removed)];
            case "Metaspace":
                var (replacement, prepend, split) = Metaspace(step, "pre_tokenizer");
                return PreTokenizer.Metaspace(replacement, prepend, split);
            case var type:
                throw Bad("pre_tokenizer", $"step '{type}' is not supported");
        }
    }

    /// <summary>The settings of a Metaspace step; files before version 0.15 of the format write <c>add_prefix_space</c> for <c>prepend_scheme</c>.</summary>
    public static (string Replacement, string Prepend, bool Split) Metaspace(JsonElement step, string where)
    {
        var prepend = Text(step, "prepend_scheme") ?? (Flag(step, "add_prefix_space", true) ? "always" : "never");
        return prepend is "always" or "first" or "never"
            ? (Text(step, "replacement") ?? "\u2581", prepend, Flag(step, "split", true))
            : throw Bad(where + ".prepend_scheme", $"is '{prepend}'; known are always, first and never");
    }

    private static SplitBehavior Behavior(JsonElement step, SplitBehavior? missing) => Text(step, "behavior") switch
    {
        null when missing is { } given => given,
        "Isolated" => SplitBehavior.Isolated,
        "Removed" => SplitBehavior.Removed,
        "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
        "MergedWithNext" => SplitBehavior.MergedWithNext,
        "Contiguous" => SplitBehavior.Contiguous,
        var other => throw Bad("pre_tokenizer.behavior", $"is '{other}'; known are {string.Join(", ", Enum.GetNames<SplitBehavior>())}"),
    };

    private static bool IsPunctuation(Rune r) => Rune.IsPunctuation(r) || (r.IsAscii && Rune.IsSymbol(r));
}
