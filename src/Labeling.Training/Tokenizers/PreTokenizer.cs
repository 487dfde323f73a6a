using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Labeling.Training.Tokenizers;

/// <summary>Cuts text into the pieces inside which BPE may merge: a sequence of splitting patterns, each kept as in "Isolated".</summary>
internal sealed partial class PreTokenizer(IReadOnlyList<Regex> patterns, bool addPrefixSpace)
{
    /// <summary>The split of GPT-2 (github.com/openai/gpt-2, encoder.py).</summary>
    public const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    [GeneratedRegex(Gpt2Pattern, RegexOptions.CultureInvariant)]
    public static partial Regex Gpt2();

    /// <summary>One piece per digit, everything else untouched.</summary>
    [GeneratedRegex(@"\p{N}", RegexOptions.CultureInvariant)]
    public static partial Regex SingleDigits();

    [GeneratedRegex(@"\p{N}+", RegexOptions.CultureInvariant)]
    public static partial Regex DigitRuns();

    public bool AddPrefixSpace => addPrefixSpace;

    public List<string> Split(string text)
    {
        if (addPrefixSpace && !text.StartsWith(' '))
        {
            text = " " + text;
        }
        var pieces = new List<string> { text };
        foreach (var pattern in patterns)
        {
            var next = new List<string>();
            foreach (var piece in pieces)
            {
                SplitBy(pattern, piece, next);
            }
            pieces = next;
        }
        return pieces;
    }

    private static void SplitBy(Regex pattern, string text, List<string> into)
    {
        // .NET's Regex sees UTF-16 units, so a letter outside the basic plane would count as two surrogates and not as a
        // letter. Match on a copy with one unit per character, where such a character is stood in for by one of its category.
        var plain = OneUnitPerCharacter(text, out var offsets);
        var end = 0;
        foreach (var match in pattern.EnumerateMatches(plain))
        {
            if (match.Length == 0)
            {
                continue;
            }
            if (match.Index > end)
            {
                into.Add(Cut(end, match.Index));
            }
            end = match.Index + match.Length;
            into.Add(Cut(match.Index, end));
        }
        if (end < plain.Length)
        {
            into.Add(Cut(end, plain.Length));
        }

        string Cut(int from, int to) => offsets is null ? text[from..to] : text[offsets[from]..offsets[to]];
    }

    private static string OneUnitPerCharacter(string text, out int[]? offsets)
    {
        offsets = null;
        if (!text.AsSpan().ContainsAnyInRange('\ud800', '\udfff'))
        {
            return text;
        }
        var plain = new StringBuilder(text.Length);
        var starts = new List<int>(text.Length + 1);
        var at = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            starts.Add(at);
            at += rune.Utf16SequenceLength;
            plain.Append(rune.IsBmp ? (char)rune.Value : StandIn(Rune.GetUnicodeCategory(rune)));
        }
        starts.Add(at);
        offsets = [.. starts];
        return plain.ToString();
    }

    private static char StandIn(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\u0391',
        UnicodeCategory.LowercaseLetter => '\u03b1',
        UnicodeCategory.TitlecaseLetter => '\u01c5',
        UnicodeCategory.ModifierLetter => '\u02b0',
        UnicodeCategory.OtherLetter => '\u4e00',
        UnicodeCategory.DecimalDigitNumber => '\u0660',
        UnicodeCategory.LetterNumber => '\u2160',
        UnicodeCategory.OtherNumber => '\u00b2',
        UnicodeCategory.NonSpacingMark => '\u0301',
        UnicodeCategory.SpacingCombiningMark => '\u0903',
        UnicodeCategory.EnclosingMark => '\u20dd',
        UnicodeCategory.OtherPunctuation => '\u00b7',
        UnicodeCategory.DashPunctuation => '\u2010',
        UnicodeCategory.MathSymbol => '\u2200',
        UnicodeCategory.Format => '\u200b',
        UnicodeCategory.PrivateUse => '\ue000',
        UnicodeCategory.OtherNotAssigned => '\u0378',
        _ => '\u263a',
    };
}
