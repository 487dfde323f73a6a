namespace Labeling.Training.Tokenizers;

/// <summary>What a tokenizer folder says, read and checked: the steps from text to ids (normaliser, pieces, model) and back (decoder).</summary>
internal sealed class TokenizerData
{
    public required IReadOnlyList<AddedToken> AddedTokens { get; init; }

    /// <summary>Null where a text stays as it is.</summary>
    public required Func<string, string>? Normalise { get; init; }

    public required PreTokenizer PreTokenizer { get; init; }

    public required BpeModel Model { get; init; }

    public required TokenDecoder Decoder { get; init; }

    /// <summary>Whether token texts spell bytes in GPT-2's stand-ins.</summary>
    public required bool IsByteLevel { get; init; }

    /// <summary>Whether the decoder does nothing but turn those stand-ins back into bytes.</summary>
    public required bool DecodesBytes { get; init; }

    public int[] Prefix { get; init; } = [];

    public int[] Suffix { get; init; } = [];

    public string? BosToken { get; init; }

    public string? EosToken { get; init; }

    public string? PadToken { get; init; }

    /// <summary>tokenizer.json and tokenizer_config.json as they are written out again.</summary>
    public required byte[] TokenizerFile { get; init; }

    public byte[]? ConfigFile { get; init; }
}
