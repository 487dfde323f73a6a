using System.Text;
using System.Text.RegularExpressions;

namespace Labeling.Training.Tokenizers;

/// <summary>A stretch of text inside which BPE may merge.</summary>
/// <param name="Text">Its characters.</param>
/// <param name="First">Whether it stands at the very beginning of the input.</param>
internal readonly record struct Piece(string Text, bool First);

/// <summary>What becomes of the matches of a splitting pattern.</summary>
internal enum SplitBehavior { Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous }

/// <summary>Cuts text into pieces, step after step.</summary>
internal sealed partial class PreTokenizer(IReadOnlyList<Func<Piece, IEnumerable<Piece>>> steps)
{
    /// <summary>The split of GPT-2 (github.com/openai/gpt-2, encoder.py).</summary>
    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    public static partial Regex Gpt2();

    /// <summary>Words and runs of everything else that is not white space.</summary>
    [GeneratedRegex(@"[\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\u24b6-\u24e9\u200c\u200d]+|[^\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\u24b6-\u24e9\u200c\u200d\s]+", RegexOptions.CultureInvariant)]
    public static partial Regex Words();

    /// <param name="text">Already normalised.</param>
    /// <param name="first">Whether the text stands at the very beginning of the input.</param>
    public List<Piece> Split(string text, bool first)
    {
        List<Piece> pieces = text.Length == 0 ? [] : [new Piece(text, first)];
        foreach (var step in steps)
        {
            var next = new List<Piece>(pieces.Count * 2);
            foreach (var piece in pieces)
            {
                foreach (var part in step(piece))
                {
                    if (part.Text.Length > 0)
                    {
                        next.Add(part);
                    }
                }
            }
            pieces = next;
        }
        return pieces;
    }

    public static Func<Piece, IEnumerable<Piece>> SplitBy(TextPattern pattern, SplitBehavior behavior, bool invert = false) => piece =>
    {
        var parts = Parts(pattern.Matches(piece.Text), piece.Text.Length, invert);
        var cuts = behavior switch
        {
            SplitBehavior.Isolated => parts.Select(p => (p.From, p.To)),
            SplitBehavior.Removed => parts.Where(p => !p.Match).Select(p => (p.From, p.To)),
            SplitBehavior.Contiguous => Join(parts, (before, now) => before == now),
            SplitBehavior.MergedWithPrevious => Join(parts, (before, now) => now && !before),
            _ => Join(parts, (before, now) => before && !now),
        };
        return cuts.Select(c => new Piece(piece.Text[c.From..c.To], piece.First && c.From == 0));
    };

    /// <summary>GPT-2's stand-in characters for the bytes of UTF-8, after an optional split and with an optional space in front.</summary>
    public static IEnumerable<Func<Piece, IEnumerable<Piece>>> Bytes(bool addPrefixSpace, bool split)
    {
        if (addPrefixSpace)
        {
            yield return p => [p.Text.StartsWith(' ') ? p : p with { Text = " " + p.Text }];
        }
        if (split)
        {
            yield return SplitBy(TextPattern.Of(Gpt2()), SplitBehavior.Isolated);
        }
        yield return p => [p with { Text = ByteLevel.ToText(Encoding.UTF8.GetBytes(p.Text)) }];
    }

    /// <summary>SentencePiece's way: spaces become a visible character, of which one may be put in front.</summary>
    /// <param name="replacement">Usually U+2581.</param>
    /// <param name="prepend"><c>always</c>, <c>first</c> (only at the beginning of the input) or <c>never</c>.</param>
    /// <param name="split">Whether each word becomes a piece.</param>
    public static IEnumerable<Func<Piece, IEnumerable<Piece>>> Metaspace(string replacement, string prepend, bool split)
    {
        yield return p =>
        {
            var text = p.Text.Replace(" ", replacement, StringComparison.Ordinal);
            var front = (prepend == "always" || (prepend == "first" && p.First)) && !text.StartsWith(replacement, StringComparison.Ordinal);
            return [p with { Text = front ? replacement + text : text }];
        };
        if (split)
        {
            yield return SplitBy(TextPattern.Literal(replacement), SplitBehavior.MergedWithNext);
        }
    }

    /// <summary>Matches and the gaps between them, in order, without empty ones.</summary>
    private static List<(int From, int To, bool Match)> Parts(List<(int From, int To)> matches, int length, bool invert)
    {
        var parts = new List<(int, int, bool)>((matches.Count * 2) + 1);
        var end = 0;
        foreach (var (from, to) in matches)
        {
            if (from > end)
            {
                parts.Add((end, from, invert));
            }
            parts.Add((from, to, !invert));
            end = to;
        }
        if (end < length)
        {
            parts.Add((end, length, invert));
        }
        return parts;
    }

    private static List<(int From, int To)> Join(List<(int From, int To, bool Match)> parts, Func<bool, bool, bool> joins)
    {
        var joined = new List<(int From, int To)>(parts.Count);
        for (var i = 0; i < parts.Count; i++)
        {
            if (i > 0 && joins(parts[i - 1].Match, parts[i].Match))
            {
                joined[^1] = (joined[^1].From, parts[i].To);
            }
            else
            {
                joined.Add((parts[i].From, parts[i].To));
            }
        }
        return joined;
    }
}
