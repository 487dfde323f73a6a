using System.Text;

namespace Labeling.Web.Text;

/// <summary>
/// Characters that change how a text reads without being seen: direction overrides, zero-width characters, tags, control codes. They stay in the data,
/// and they are made visible on the screen, so that a labeler judges what is really there.
/// </summary>
public static class InvisibleCharacters
{
    /// <summary>What to print in place of the rune, e.g. "U+202E", or null when it is visible by itself or has an honest use where it stands.</summary>
    public static string? Mark(Rune rune, Rune? before, Rune? after)
    {
        var hidden = rune.Value switch
        {
            '\t' or '\n' or '\r' => false,
            < 0x20 or 0x7F or (>= 0x80 and < 0xA0) => true,
            0xAD or 0x61C or 0x115F or 0x1160 or 0x17B4 or 0x17B5 or 0x180E or 0x3164 or 0xFFA0 or 0xFEFF => true,
            // Joiners shape emoji and several scripts: odd only beside plain ASCII or nothing.
            0x200C or 0x200D => !Joins(before) || !Joins(after),
            0x200B or 0x200E or 0x200F => true,
            >= 0x2028 and <= 0x202E => true,
            >= 0x2060 and <= 0x206F => true,
            >= 0xFFF9 and <= 0xFFFB => true,
            >= 0xE0000 and <= 0xE007F => true,
            _ => false,
        };
        return hidden ? $"U+{rune.Value:X4}" : null;
    }

    /// <summary>The text in pieces: as it is, or the mark of one hidden character.</summary>
    public static IEnumerable<(string Text, bool IsMark)> Split(string text)
    {
        var start = 0;
        Rune? before = null;
        for (var i = 0; i < text.Length;)
        {
            if (Rune.DecodeFromUtf16(text.AsSpan(i), out var rune, out var length) != System.Buffers.OperationStatus.Done)
            {
                rune = Rune.ReplacementChar;
            }

            Rune? after = i + length < text.Length && Rune.TryGetRuneAt(text, i + length, out var next) ? next : null;
            if (Mark(rune, before, after) is { } mark)
            {
                if (i > start)
                {
                    yield return (text[start..i], false);
                }

                yield return (mark, true);
                start = i + length;
            }

            before = rune;
            i += length;
        }

        if (start < text.Length)
        {
            yield return (start == 0 ? text : text[start..], false);
        }
    }

    private static bool Joins(Rune? neighbour) => neighbour is { } rune && !rune.IsAscii;
}
