using System.Buffers;
using System.Globalization;
using System.Text;

namespace Labeling.Training.Tokenizers;

/// <summary>A token outside the learned vocabulary, matched in the text as a whole. Special ones are control tokens.</summary>
/// <param name="Id">Token id.</param>
/// <param name="Content">The literal text.</param>
/// <param name="Special">True for control tokens such as end of text.</param>
/// <param name="Normalized">Looked for in the normalised text rather than in the text as given.</param>
/// <param name="SingleWord">Not matched inside a word.</param>
/// <param name="StripLeft">Takes white space before it along.</param>
/// <param name="StripRight">Takes white space behind it along.</param>
public sealed record AddedToken(int Id, string Content, bool Special, bool Normalized = false, bool SingleWord = false, bool StripLeft = false, bool StripRight = false);

/// <summary>Finds added tokens in a text: the leftmost match, and of those that begin there the longest.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly SearchValues<string>? anywhere;
    private readonly Dictionary<char, List<(string Pattern, AddedToken Token)>> byFirst = [];

    /// <param name="tokens">The tokens to look for.</param>
    /// <param name="normalise">What the tokens' text goes through before it is looked for; null for nothing.</param>
    public AddedTokenMatcher(IEnumerable<AddedToken> tokens, Func<string, string>? normalise)
    {
        var patterns = tokens.Select(t => (Pattern: normalise?.Invoke(t.Content) ?? t.Content, Token: t)).Where(p => p.Pattern.Length > 0).ToList();
        anywhere = patterns.Count == 0 ? null : SearchValues.Create([.. patterns.Select(p => p.Pattern)], StringComparison.Ordinal);
        foreach (var pattern in patterns.OrderByDescending(p => p.Pattern.Length))
        {
            if (!byFirst.TryGetValue(pattern.Pattern[0], out var list))
            {
                byFirst[pattern.Pattern[0]] = list = [];
            }
            list.Add(pattern);
        }
    }

    public bool IsEmpty => anywhere is null;

    /// <summary>The text in order: added tokens, and the stretches between them.</summary>
    /// <param name="text">The text.</param>
    /// <param name="matches">Whether a token counts when it stands from one position to another.</param>
    public IEnumerable<(int From, int To, AddedToken? Token)> Split(string text, Func<AddedToken, int, int, bool> matches)
    {
        var end = 0;
        for (var at = 0; Find(text, at) is { } found; at = found.To)
        {
            var (from, to, token) = found;
            if (!matches(token, from, to) || (token.SingleWord && (EndsWithWord(text, from) || StartsWithWord(text, to))))
            {
                continue;
            }
            while (token.StripLeft && from > end && char.IsWhiteSpace(text[from - 1]))
            {
                from--;
            }
            while (token.StripRight && to < text.Length && char.IsWhiteSpace(text[to]))
            {
                to++;
            }
            if (from > end)
            {
                yield return (end, from, null);
            }
            yield return (from, to, token);
            end = to;
        }
        if (end < text.Length)
        {
            yield return (end, text.Length, null);
        }
    }

    private (int From, int To, AddedToken Token)? Find(string text, int from)
    {
        if (anywhere is null || from >= text.Length || text.AsSpan(from).IndexOfAny(anywhere) is var offset && offset < 0)
        {
            return null;
        }
        var at = from + offset;
        foreach (var (pattern, token) in byFirst[text[at]])
        {
            if (string.CompareOrdinal(text, at, pattern, 0, pattern.Length) == 0)
            {
                return (at, at + pattern.Length, token);
            }
        }
        return null;
    }

    private static bool EndsWithWord(string text, int at) => at > 0 && Rune.DecodeLastFromUtf16(text.AsSpan(0, at), out var r, out _) == OperationStatus.Done && IsWord(r);

    private static bool StartsWithWord(string text, int at) => at < text.Length && Rune.DecodeFromUtf16(text.AsSpan(at), out var r, out _) == OperationStatus.Done && IsWord(r);

    private static bool IsWord(Rune r) => Rune.IsLetterOrDigit(r) || Rune.GetUnicodeCategory(r) is UnicodeCategory.ConnectorPunctuation
        or UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark or UnicodeCategory.LetterNumber;
}
