using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Labeling.Training.Tokenizers;

/// <summary>Something to look for in a text: a literal, a regular expression or a kind of character. Matches are never empty.</summary>
internal sealed class TextPattern
{
    private readonly string? literal;
    private readonly Regex? regex;
    private readonly Func<Rune, bool>? rune;

    private TextPattern(string? literal, Regex? regex, Func<Rune, bool>? rune) => (this.literal, this.regex, this.rune) = (literal, regex, rune);

    public static TextPattern Literal(string text) => new(text, null, null);

    /// <summary>Every single character that passes.</summary>
    public static TextPattern Each(Func<Rune, bool> rune) => new(null, null, rune);

    public static TextPattern Of(Regex regex) => new(null, regex, null);

    /// <exception cref="InvalidDataException">The expression uses something that is not supported.</exception>
    public static TextPattern Regex(string oniguruma, string where)
    {
        var translated = OnigurumaPattern.ToDotNet(oniguruma, where);
        try
        {
            return Of(new Regex(translated, RegexOptions.CultureInvariant | RegexOptions.Multiline | RegexOptions.Compiled, TimeSpan.FromSeconds(20)));
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException($"{where} is a regular expression that is not supported: {e.Message}", e);
        }
    }

    /// <summary>Matches from left to right, as pairs of start and end.</summary>
    public List<(int From, int To)> Matches(string text)
    {
        var found = new List<(int, int)>();
        if (literal is not null)
        {
            for (var at = 0; literal.Length > 0 && (at = text.IndexOf(literal, at, StringComparison.Ordinal)) >= 0; at += literal.Length)
            {
                found.Add((at, at + literal.Length));
            }
            return found;
        }
        if (rune is not null)
        {
            var at = 0;
            foreach (var r in text.EnumerateRunes())
            {
                if (rune(r))
                {
                    found.Add((at, at + r.Utf16SequenceLength));
                }
                at += r.Utf16SequenceLength;
            }
            return found;
        }
        // .NET's Regex sees UTF-16 units, so a letter outside the basic plane would count as two surrogates and not as a
        // letter. Match on a copy with one unit per character, where such a character is stood in for by one of its category.
        var plain = OneUnitPerCharacter(text, out var offsets);
        foreach (var match in regex!.EnumerateMatches(plain))
        {
            if (match.Length > 0)
            {
                var to = match.Index + match.Length;
                found.Add(offsets is null ? (match.Index, to) : (offsets[match.Index], offsets[to]));
            }
        }
        return found;
    }

    public string Replace(string text, string replacement)
    {
        if (literal is not null)
        {
            return literal.Length == 0 ? text : text.Replace(literal, replacement, StringComparison.Ordinal);
        }
        var result = new StringBuilder(text.Length);
        var end = 0;
        foreach (var (from, to) in Matches(text))
        {
            result.Append(text, end, from - end).Append(replacement);
            end = to;
        }
        return result.Append(text, end, text.Length - end).ToString();
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
        foreach (var r in text.EnumerateRunes())
        {
            starts.Add(at);
            at += r.Utf16SequenceLength;
            plain.Append(r.IsBmp ? (char)r.Value : StandIn(Rune.GetUnicodeCategory(r)));
        }
        starts.Add(at);
        offsets = [.. starts];
        return plain.ToString();
    }

    /// <summary>A character of the same category that no published pattern names by itself.</summary>
    private static char StandIn(UnicodeCategory category) => category switch
    {
        UnicodeCategory.UppercaseLetter => '\u0391',
        UnicodeCategory.LowercaseLetter => '\u03b1',
        UnicodeCategory.TitlecaseLetter => '\u01c5',
        UnicodeCategory.ModifierLetter => '\u02b0',
        UnicodeCategory.OtherLetter => '\u16a0',
        UnicodeCategory.DecimalDigitNumber => '\u0660',
        UnicodeCategory.LetterNumber => '\u2160',
        UnicodeCategory.OtherNumber => '\u00b2',
        UnicodeCategory.NonSpacingMark => '\u0301',
        UnicodeCategory.SpacingCombiningMark => '\u0903',
        UnicodeCategory.EnclosingMark => '\u20dd',
        UnicodeCategory.OtherPunctuation => '\u00b7',
        UnicodeCategory.DashPunctuation => '\u2010',
        UnicodeCategory.CurrencySymbol => '\u20ac',
        UnicodeCategory.MathSymbol => '\u2200',
        UnicodeCategory.ModifierSymbol => '\u02c2',
        UnicodeCategory.Format => '\u200b',
        UnicodeCategory.PrivateUse => '\ue000',
        UnicodeCategory.OtherNotAssigned => '\u0378',
        _ => '\u263a',
    };
}
