using System.Collections.Concurrent;
using System.Text;

namespace Labeling.Training.Tokenizers;

/// <summary>A token outside the learned vocabulary, matched in the text as a whole. Special ones are control tokens.</summary>
/// <param name="Id">Token id.</param>
/// <param name="Content">The literal text.</param>
/// <param name="Special">True for control tokens such as end of text.</param>
public sealed record AddedToken(int Id, string Content, bool Special);

/// <summary>
/// Byte-level BPE (GPT-2, Llama 3, Qwen) as a Hugging Face tokenizer folder describes it: text to token ids and back, exactly.
/// Decode(Encode(x)) = x for every valid Unicode text (unless the folder asks for Unicode normalisation).
/// Safe for use by several threads.
/// </summary>
public sealed class Tokenizer
{
    private const int CachedPieces = 1 << 16;

    private readonly TokenizerData data;
    private readonly BpeMerges merges;
    private readonly byte[][] bytesOfId;
    private readonly int[] idOfByte;
    private readonly AddedToken[] added;
    private readonly HashSet<int> specialIds;
    private readonly ConcurrentDictionary<string, int[]> cache = new(StringComparer.Ordinal);

    internal Tokenizer(TokenizerData data)
    {
        this.data = data;
        merges = new BpeMerges(data.Merges);
        // The longest match wins where two added tokens start at the same place.
        added = [.. data.AddedTokens.OrderByDescending(t => t.Content.Length).ThenBy(t => t.Id)];
        specialIds = [.. added.Where(t => t.Special).Select(t => t.Id)];
        VocabSize = Math.Max(data.Vocabulary.Count == 0 ? 0 : data.Vocabulary.Values.Max() + 1, added.Length == 0 ? 0 : added.Max(t => t.Id) + 1);
        bytesOfId = new byte[VocabSize][];
        foreach (var (text, id) in data.Vocabulary)
        {
            bytesOfId[id] = ByteLevel.ToBytes(text) ?? Encoding.UTF8.GetBytes(text);
        }
        foreach (var token in added)
        {
            bytesOfId[token.Id] = Encoding.UTF8.GetBytes(token.Content);
        }
        idOfByte = [.. ByteLevel.CharOfByte.Select(c => data.Vocabulary.TryGetValue(c.ToString(), out var id) ? id : -1)];
        BosId = IdOf(data.BosToken);
        EosId = IdOf(data.EosToken);
        PadId = IdOf(data.PadToken);
    }

    /// <summary>Number of rows an embedding needs: the largest token id plus one.</summary>
    public int VocabSize { get; }

    /// <summary>Begin-of-sequence token of tokenizer_config.json; null when it names none.</summary>
    public int? BosId { get; }

    /// <summary>End-of-sequence token of tokenizer_config.json; null when it names none.</summary>
    public int? EosId { get; }

    /// <summary>Padding token of tokenizer_config.json; null when it names none.</summary>
    public int? PadId { get; }

    /// <summary>All added tokens, special and not.</summary>
    public IReadOnlyList<AddedToken> AddedTokens => data.AddedTokens;

    /// <summary>Reads tokenizer.json and, where there is one, tokenizer_config.json.</summary>
    /// <exception cref="FileNotFoundException">The folder has no tokenizer.json.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or asks for something this reader does not do; the message names file and field.</exception>
    public static Tokenizer FromFolder(string folder) => new(TokenizerJson.Read(folder));

    /// <summary>Writes tokenizer.json and tokenizer_config.json (as read, byte for byte, when they came from a folder).</summary>
    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllBytes(Path.Combine(folder, TokenizerJson.FileName), data.TokenizerFile);
        if (data.ConfigFile is { } config)
        {
            File.WriteAllBytes(Path.Combine(folder, TokenizerJson.ConfigFileName), config);
        }
    }

    /// <summary>The id of a token given by its text (added token, or vocabulary entry in byte-level spelling); null when there is none.</summary>
    public int? IdOf(string? token) => token is null
        ? null
        : added.FirstOrDefault(t => t.Content == token)?.Id ?? (data.Vocabulary.TryGetValue(token, out var id) ? id : null);

    /// <summary>True for control tokens.</summary>
    public bool IsSpecial(int id) => specialIds.Contains(id);

    /// <summary>Text to token ids, without begin or end tokens.</summary>
    /// <param name="text">Any valid Unicode text.</param>
    /// <param name="allowSpecial">
    /// True turns text that looks like a special token into that token (rendered chat templates). False, the default, keeps it as
    /// ordinary text, so that what a person typed can never act as a control token.
    /// </param>
    /// <exception cref="ArgumentException">The text holds half of a surrogate pair, which no encoding can carry.</exception>
    public int[] Encode(string text, bool allowSpecial = false)
    {
        RefuseLoneSurrogates(text);
        var ids = new List<int>(text.Length / 3 + 4);
        var from = 0;
        while (from < text.Length)
        {
            var (at, token) = NextAdded(text, from, allowSpecial);
            if (at > from)
            {
                EncodePlain(text[from..at], ids);
            }
            if (token is null)
            {
                break;
            }
            ids.Add(token.Id);
            from = at + token.Content.Length;
        }
        return [.. ids];
    }

    /// <summary>Adds the tokens the post-processor of tokenizer.json puts around a single text (often only begin of text).</summary>
    public int[] WithSpecialTokens(ReadOnlySpan<int> ids) => [.. data.Prefix, .. ids, .. data.Suffix];

    /// <summary>Token ids to text; bytes that are not valid UTF-8 (a character cut in two) become U+FFFD.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public string Decode(IEnumerable<int> ids, bool skipSpecial = false)
    {
        using var bytes = new MemoryStream();
        foreach (var id in ids)
        {
            if (id < 0 || id >= VocabSize)
            {
                throw new ArgumentOutOfRangeException(nameof(ids), $"Token id {id} is outside the vocabulary of {VocabSize}.");
            }
            if (bytesOfId[id] is { } token && !(skipSpecial && specialIds.Contains(id)))
            {
                bytes.Write(token);
            }
        }
        return Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }

    /// <summary>How many UTF-8 bytes each token stands for, 0 for special tokens; the denominator of bits per byte. Length <see cref="VocabSize"/>.</summary>
    public int[] BytesPerToken() => [.. Enumerable.Range(0, VocabSize).Select(id => specialIds.Contains(id) ? 0 : bytesOfId[id]?.Length ?? 0)];

    private static void RefuseLoneSurrogates(string text)
    {
        for (var i = text.AsSpan().IndexOfAnyInRange('\ud800', '\udfff'); i >= 0 && i < text.Length; i++)
        {
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                i++;
            }
            else if (char.IsSurrogate(text[i]))
            {
                throw new ArgumentException($"The text holds half of a surrogate pair (U+{(int)text[i]:X4}) at position {i}; that is not valid Unicode.", nameof(text));
            }
        }
    }

    private (int At, AddedToken? Token) NextAdded(string text, int from, bool allowSpecial)
    {
        var best = (At: text.Length, Token: (AddedToken?)null);
        foreach (var token in added)
        {
            if (token.Special && !allowSpecial)
            {
                continue;
            }
            var at = text.IndexOf(token.Content, from, Math.Min(text.Length - from, best.At - from + token.Content.Length), StringComparison.Ordinal);
            if (at >= 0 && at < best.At)
            {
                best = (at, token);
            }
        }
        return best;
    }

    private void EncodePlain(string text, List<int> ids)
    {
        foreach (var piece in data.PreTokenizer.Split(data.Normalise(text)))
        {
            if (!cache.TryGetValue(piece, out var pieceIds))
            {
                pieceIds = EncodePiece(piece);
                if (cache.Count < CachedPieces && piece.Length < 64)
                {
                    cache[piece] = pieceIds;
                }
            }
            ids.AddRange(pieceIds);
        }
    }

    private int[] EncodePiece(string piece)
    {
        var bytes = Encoding.UTF8.GetBytes(piece);
        if (data.IgnoreMerges && data.Vocabulary.TryGetValue(ByteLevel.ToText(bytes), out var whole))
        {
            return [whole];
        }
        var symbols = new int[bytes.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            symbols[i] = idOfByte[bytes[i]];
            if (symbols[i] < 0)
            {
                throw new InvalidDataException($"The vocabulary has no token for byte 0x{bytes[i]:X2}, so '{piece}' cannot be encoded.");
            }
        }
        return symbols[..merges.Apply(symbols)];
    }
}
