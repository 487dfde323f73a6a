using System.Text;

namespace Labeling.Core.Pipeline;

/// <summary>Which texts can be kept exactly as written.</summary>
public static class Texts
{
    /// <summary>Unicode code points in one text field.</summary>
    public const int MaxCharacters = 200_000;

    /// <summary>Why a text cannot be kept, as the rest of a sentence that starts with the field's name; null when it can.</summary>
    public static string? ProblemOf(string text, int maxCharacters = MaxCharacters)
    {
        if (text.Contains('\0')) return $"contains the character U+0000 at position {text.IndexOf('\0')}, which cannot be stored";
        if (LoneSurrogate(text) is var at and >= 0) return $"contains half of a surrogate pair (U+{(int)text[at]:X4}) at position {at}, which is not a character";
        if (text.Length > maxCharacters && Characters(text) is var count && count > maxCharacters) return $"has {count:N0} characters; at most {maxCharacters:N0} are kept";
        return null;
    }

    /// <summary>Unicode code points, as PostgreSQL counts them.</summary>
    public static int Characters(string text) => text.Length - text.Count(char.IsLowSurrogate);

    /// <summary>The first characters for a list, never cut inside a surrogate pair, on one line.</summary>
    public static string Preview(string text, int length = 160)
    {
        var line = new StringBuilder(length + 1);
        foreach (var rune in text.EnumerateRunes())
        {
            if (line.Length >= length) return line.Append('…').ToString();
            if (!Rune.IsWhiteSpace(rune)) line.Append(rune.ToString());
            else if (line.Length > 0 && line[^1] != ' ') line.Append(' ');
        }

        return line.ToString();
    }

    private static int LoneSurrogate(string text)
    {
        for (var i = text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF'); i >= 0 && i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i])) continue;
            if (!char.IsHighSurrogate(text[i]) || i + 1 == text.Length || !char.IsLowSurrogate(text[i + 1])) return i;
            i++;
        }

        return -1;
    }
}
