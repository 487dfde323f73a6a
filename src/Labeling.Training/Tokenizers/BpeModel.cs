using System.Collections.Concurrent;
using System.Globalization;
using System.Text;

namespace Labeling.Training.Tokenizers;

/// <summary>
/// Byte-pair encoding of one piece (Sennrich et al. 2016, arXiv 1508.07909): its characters become tokens, which merge by rank. Safe for use by several threads.
/// </summary>
internal sealed class BpeModel
{
    private const int CachedPieces = 1 << 16;
    private const int LongestCached = 64;

    private readonly BpeMerges merges;
    private readonly int[] idOfChar = new int[char.MaxValue + 1];
    private readonly int[]? byteTokens;
    private readonly ConcurrentDictionary<string, int[]> cache = new(StringComparer.Ordinal);
    private int cached;

    /// <param name="vocabulary">Token text to id.</param>
    /// <param name="merges">Pairs of ids.</param>
    /// <param name="byteFallback">Characters without a token become one token per byte of UTF-8 (&lt;0x0A&gt;).</param>
    public BpeModel(IReadOnlyDictionary<string, int> vocabulary, IReadOnlyDictionary<long, (int Rank, int Id)> merges, bool byteFallback)
    {
        Vocabulary = vocabulary;
        this.merges = new BpeMerges(merges);
        Array.Fill(idOfChar, -1);
        foreach (var (text, id) in vocabulary)
        {
            if (text.Length == 1)
            {
                idOfChar[text[0]] = id;
            }
        }
        byteTokens = byteFallback
            ? [.. Enumerable.Range(0, 256).Select(b => vocabulary.TryGetValue(string.Create(CultureInfo.InvariantCulture, $"<0x{b:X2}>"), out var id) ? id : -1)]
            : null;
    }

    public IReadOnlyDictionary<string, int> Vocabulary { get; }

    /// <summary>Token for characters that have none; null drops them, as the reference implementation does.</summary>
    public int? UnknownId { get; init; }

    /// <summary>Unknown characters in a row become one token.</summary>
    public bool FuseUnknown { get; init; }

    /// <summary>Control tokens, which no text turns into here.</summary>
    public IReadOnlySet<int> Special { get; init; } = new HashSet<int>();

    /// <summary>A piece that is a token as a whole is that token, whatever the merges say.</summary>
    public bool IgnoreMerges { get; init; }

    /// <summary>Text in front of every character but the first of a piece.</summary>
    public string ContinuingPrefix { get; init; } = "";

    /// <summary>Text behind the last character of a piece.</summary>
    public string EndSuffix { get; init; } = "";

    public void Encode(string piece, List<int> ids)
    {
        if (piece.Length >= LongestCached)
        {
            ids.AddRange(Encode(piece));
            return;
        }
        if (!cache.TryGetValue(piece, out var known))
        {
            known = Encode(piece);
            // ConcurrentDictionary.Count takes every lock: too dear for every new word.
            if (cached < CachedPieces && cache.TryAdd(piece, known))
            {
                Interlocked.Increment(ref cached);
            }
        }
        ids.AddRange(known);
    }

    private ReadOnlySpan<int> Span(int[] symbols) => symbols.AsSpan(0, merges.Apply(symbols));

    private int[] Encode(string piece) => IgnoreMerges && Vocabulary.TryGetValue(piece, out var whole) && !Special.Contains(whole) ? [whole] : [.. Span(Symbols(piece))];

    private int[] Symbols(string piece)
    {
        var symbols = new List<int>(piece.Length);
        var unknown = false;
        int length;
        for (var at = 0; at < piece.Length; at += length)
        {
            length = char.IsHighSurrogate(piece[at]) && at + 1 < piece.Length ? 2 : 1;
            var id = IdOf(piece, at, length);
            if (id >= 0)
            {
                FlushUnknown();
                symbols.Add(id);
            }
            else if (!TryBytes(piece.AsSpan(at, length), symbols) && UnknownId is not null)
            {
                if (!FuseUnknown)
                {
                    FlushUnknown();
                }
                unknown = true;
            }
        }
        FlushUnknown();
        return [.. symbols];

        void FlushUnknown()
        {
            if (unknown)
            {
                symbols.Add(UnknownId!.Value);
                unknown = false;
            }
        }
    }

    private int IdOf(string piece, int at, int length)
    {
        var (first, last) = (at == 0, at + length == piece.Length);
        var bare = (first || ContinuingPrefix.Length == 0) && (!last || EndSuffix.Length == 0);
        if (bare && length == 1)
        {
            return idOfChar[piece[at]];
        }
        var text = string.Concat(first ? "" : ContinuingPrefix, piece.AsSpan(at, length), last ? EndSuffix : "");
        return Vocabulary.TryGetValue(text, out var id) ? id : -1;
    }

    private bool TryBytes(ReadOnlySpan<char> character, List<int> symbols)
    {
        Span<byte> bytes = stackalloc byte[4];
        if (byteTokens is null)
        {
            return false;
        }
        bytes = bytes[..Encoding.UTF8.GetBytes(character, bytes)];
        foreach (var b in bytes)
        {
            if (byteTokens[b] < 0)
            {
                return false;
            }
        }
        foreach (var b in bytes)
        {
            symbols.Add(byteTokens[b]);
        }
        return true;
    }
}
