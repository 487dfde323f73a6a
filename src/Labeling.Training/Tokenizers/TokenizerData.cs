namespace Labeling.Training.Tokenizers;

/// <summary>What a tokenizer folder says, read and checked.</summary>
internal sealed class TokenizerData
{
    /// <summary>Byte-level spelling to id.</summary>
    public required IReadOnlyDictionary<string, int> Vocabulary { get; init; }

    public required IReadOnlyDictionary<long, (int Rank, int Id)> Merges { get; init; }

    public required IReadOnlyList<AddedToken> AddedTokens { get; init; }

    public required PreTokenizer PreTokenizer { get; init; }

    public bool NormaliseToNfc { get; init; }

    public bool IgnoreMerges { get; init; }

    public int[] Prefix { get; init; } = [];

    public int[] Suffix { get; init; } = [];

    public string? BosToken { get; init; }

    public string? EosToken { get; init; }

    public string? PadToken { get; init; }

    /// <summary>tokenizer.json and tokenizer_config.json as they are written out again.</summary>
    public required byte[] TokenizerFile { get; init; }

    public byte[]? ConfigFile { get; init; }

    public string Normalise(string text) => NormaliseToNfc ? text.Normalize(System.Text.NormalizationForm.FormC) : text;
}
