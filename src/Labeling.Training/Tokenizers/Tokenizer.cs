using System.Text;

namespace Labeling.Training.Tokenizers;

/// <summary>
/// BPE as a Hugging Face tokenizer folder describes it: byte-level (GPT-2, Llama 3, Qwen) or SentencePiece-style with byte fallback
/// (Llama 2, Mistral); text to token ids and back. Byte-level, Decode(Encode(x)) = x for every valid Unicode text, unless the folder asks
/// for normalisation. Safe for use by several threads.
/// </summary>
public sealed class Tokenizer
{
    private readonly TokenizerData data;
    private readonly AddedToken[] added;
    private readonly AddedTokenMatcher inRaw;
    private readonly AddedTokenMatcher inNormalised;
    private readonly string?[] textOfId;
    private readonly byte[]?[] bytesOfId;
    private readonly HashSet<int> specialIds;

    internal Tokenizer(TokenizerData data)
    {
        this.data = data;
        added = [.. data.AddedTokens];
        inRaw = new AddedTokenMatcher(added.Where(t => !t.Normalized), null);
        inNormalised = new AddedTokenMatcher(added.Where(t => t.Normalized), data.Normalise);
        specialIds = [.. added.Where(t => t.Special).Select(t => t.Id)];
        VocabSize = data.Model.Vocabulary.Values.Concat(added.Select(t => t.Id)).DefaultIfEmpty(-1).Max() + 1;
        textOfId = new string?[VocabSize];
        foreach (var (text, id) in data.Model.Vocabulary)
        {
            textOfId[id] = text;
        }
        foreach (var token in added)
        {
            textOfId[token.Id] = token.Content;
        }
        bytesOfId = [.. textOfId.Select(text => text is null ? null : BytesOf(text))];
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

    /// <summary>The id of a token given by its text (added token, or vocabulary entry in the vocabulary's own spelling); null when there is none.</summary>
    public int? IdOf(string? token) => token is null
        ? null
        : added.FirstOrDefault(t => t.Content == token)?.Id ?? (data.Model.Vocabulary.TryGetValue(token, out var id) ? id : null);

    /// <summary>Whether normalisation can turn text that does not look like a control token into one.</summary>
    internal bool NormalisesSpecial => data.Normalise is not null && added.Any(t => t is { Special: true, Normalized: true });

    /// <summary>True for control tokens.</summary>
    public bool IsSpecial(int id) => specialIds.Contains(id);

    /// <summary>Text to token ids, without begin or end tokens.</summary>
    /// <param name="text">Any valid Unicode text.</param>
    /// <param name="allowSpecial">
    /// True turns text that looks like a special token into that token (rendered chat templates). False, the default, keeps it as
    /// ordinary text, so that what a person typed can never act as a control token.
    /// </param>
    /// <exception cref="ArgumentException">The text holds half of a surrogate pair, which no encoding can carry.</exception>
    public int[] Encode(string text, bool allowSpecial = false) => Encode(text, allowSpecial, []);

    /// <summary>The same for a text of which some stretches, as pairs of start and end, stay ordinary text even where <paramref name="allowSpecial"/> is true.</summary>
    internal int[] Encode(string text, bool allowSpecial, IReadOnlyList<(int From, int To)> ordinary)
    {
        RefuseLoneSurrogates(text);
        var ids = new List<int>((text.Length / 3) + 4);
        foreach (var (from, to, token) in inRaw.Split(text, Allowed(ordinary)))
        {
            if (token is not null)
            {
                ids.Add(token.Id);
                continue;
            }
            var stretch = text[from..to];
            var normalised = data.Normalise?.Invoke(stretch) ?? stretch;
            if (inNormalised.IsEmpty)
            {
                EncodePlain(normalised, from == 0, ids);
                continue;
            }
            // Where a stretch of the text as given lies after normalisation: behind what comes before it, normalised by itself.
            int After(int position) => ReferenceEquals(normalised, stretch) || data.Normalise is null ? position - from
                : data.Normalise(text[from..Math.Clamp(position, from, to)]).Length;
            var inside = ordinary.Where(o => o.From < to && o.To > from).Select(o => (After(o.From), After(o.To))).ToList();
            foreach (var (start, end, normalisedToken) in inNormalised.Split(normalised, Allowed(inside)))
            {
                if (normalisedToken is not null)
                {
                    ids.Add(normalisedToken.Id);
                }
                else
                {
                    EncodePlain(normalised[start..end], from == 0 && start == 0, ids);
                }
            }
        }
        return [.. ids];

        Func<AddedToken, int, int, bool> Allowed(IReadOnlyList<(int From, int To)> stretches) => (token, from, to) =>
            !token.Special || (allowSpecial && !stretches.Any(o => o.From < to && o.To > from));
    }

    /// <summary>Adds the tokens the post-processor of tokenizer.json puts around a single text (often only begin of text).</summary>
    public int[] WithSpecialTokens(ReadOnlySpan<int> ids) => [.. data.Prefix, .. ids, .. data.Suffix];

    /// <summary>Token ids to text; bytes that are not valid UTF-8 (a character cut in two) become U+FFFD.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public string Decode(IEnumerable<int> ids, bool skipSpecial = false)
    {
        var wanted = new List<int>();
        foreach (var id in ids)
        {
            if (id < 0 || id >= VocabSize)
            {
                throw new ArgumentOutOfRangeException(nameof(ids), $"Token id {id} is outside the vocabulary of {VocabSize}.");
            }
            if (textOfId[id] is not null && !(skipSpecial && specialIds.Contains(id)))
            {
                wanted.Add(id);
            }
        }
        if (!data.DecodesBytes)
        {
            return data.Decoder.Decode(wanted.Select(id => textOfId[id]!));
        }
        using var bytes = new MemoryStream();
        foreach (var id in wanted)
        {
            bytes.Write(bytesOfId[id]);
        }
        return Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
    }

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

    private void EncodePlain(string text, bool first, List<int> ids)
    {
        foreach (var piece in data.PreTokenizer.Split(text, first))
        {
            data.Model.Encode(piece.Text, ids);
        }
    }

    private byte[] BytesOf(string token) => data.IsByteLevel ? ByteLevel.BytesOrUtf8(token)
        : TokenDecoder.ByteToken(token) is { } b ? [b]
        : Encoding.UTF8.GetBytes(token.Replace('\u2581', ' '));
}
