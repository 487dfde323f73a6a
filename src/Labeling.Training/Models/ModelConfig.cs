using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Labeling.Training.Models;

/// <summary>A config.json that is damaged or asks for something this library does not calculate; the message names file and field.</summary>
public sealed class ModelConfigException(string message) : Exception(message);

/// <summary>Non-linearity of the feed-forward network.</summary>
public enum Activation
{
    /// <summary>GELU with the tanh approximation (<c>gelu_new</c>, <c>gelu_pytorch_tanh</c>, BLOOM).</summary>
    GeluTanh,
    /// <summary>Exact GELU.</summary>
    Gelu,
    /// <summary>max(x, 0).</summary>
    Relu,
    /// <summary>x·sigmoid(x).</summary>
    Silu,
}

/// <summary>How a model knows the order of its tokens.</summary>
public enum PositionKind
{
    /// <summary>A learned vector per position, added to the token's embedding.</summary>
    Learned,
    /// <summary>Rotary embedding of queries and keys (Su et al. 2021, arXiv 2104.09864).</summary>
    Rotary,
    /// <summary>A bias on attention scores that is linear in distance (Press et al. 2022, arXiv 2108.12409).</summary>
    Alibi,
}

/// <summary>
/// Everything that tells one decoder-only transformer from another, read from and written to Hugging Face's config.json.
/// </summary>
public sealed record ModelConfig
{
    /// <summary>Hugging Face's <c>model_type</c>: gpt2, gpt_neox, opt, bloom, llama, mistral, qwen2 or qwen3.</summary>
    public required string ModelType { get; init; }
    /// <summary>Number of token ids.</summary>
    public required int VocabularySize { get; init; }
    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }
    /// <summary>Number of transformer blocks.</summary>
    public required int Layers { get; init; }
    /// <summary>Number of query heads.</summary>
    public required int Heads { get; init; }
    /// <summary>Number of key and value heads; fewer than <see cref="Heads"/> with grouped-query attention.</summary>
    public required int KeyValueHeads { get; init; }
    /// <summary>Width of one head.</summary>
    public required int HeadSize { get; init; }
    /// <summary>Width of the feed-forward network.</summary>
    public required int IntermediateSize { get; init; }
    /// <summary>Longest sequence in tokens.</summary>
    public required int MaxPositions { get; init; }
    /// <summary>Longest sequence of the training that the rotary frequencies are scaled for, where <see cref="MaxPositions"/> was set to something else; null otherwise.</summary>
    internal int? TrainedPositions { get; init; }
    /// <summary>Epsilon of the norms.</summary>
    public double NormEpsilon { get; init; } = 1e-5;
    /// <summary>Non-linearity of the feed-forward network.</summary>
    public Activation Activation { get; init; } = Activation.GeluTanh;
    /// <summary>Whether the head shares its weights with the token embedding.</summary>
    public bool TieWordEmbeddings { get; init; } = true;
    /// <summary>Standard deviation of the weights of a new model.</summary>
    public double InitializerRange { get; init; } = 0.02;
    /// <summary>How the model knows the order of tokens.</summary>
    public PositionKind Positions { get; init; } = PositionKind.Learned;
    /// <summary>Base of the rotary frequencies.</summary>
    public double RopeTheta { get; init; } = 10000;
    /// <summary>Share of a head's width that is rotated.</summary>
    public double RotaryFraction { get; init; } = 1;
    /// <summary>Scaling of the rotary frequencies; null for none.</summary>
    public RopeScaling? RopeScaling { get; init; }
    /// <summary>Attention and feed-forward both read the block's input (GPT-NeoX).</summary>
    public bool ParallelResidual { get; init; }
    /// <summary>Norms stand before attention and feed-forward rather than after the residual sum.</summary>
    public bool PreNorm { get; init; } = true;
    /// <summary>Attention and feed-forward add to the norm of their input rather than to the input (BLOOM's apply_residual_connection_post_layernorm).</summary>
    public bool NormedResidual { get; init; }
    /// <summary>Whether a norm stands after the last block of a model with <see cref="PreNorm"/> (not with OPT's _remove_final_layer_norm).</summary>
    public bool FinalNorm { get; init; } = true;
    /// <summary>Whether the norms have weights and biases (not with OPT's layer_norm_elementwise_affine false).</summary>
    public bool NormWeights { get; init; } = true;
    /// <summary>Whether attention scores are divided by the root of the head's width (GPT-2's scale_attn_weights).</summary>
    public bool ScaleAttention { get; init; } = true;
    /// <summary>Whether attention scores are divided by the layer's number, counted from 1 (GPT-2's scale_attn_by_inverse_layer_idx).</summary>
    public bool ScaleAttentionByLayer { get; init; }
    /// <summary>Whether query, key and value projections have a bias.</summary>
    public bool QueryKeyValueBias { get; init; } = true;
    /// <summary>Whether the attention's output projection has a bias.</summary>
    public bool AttentionOutputBias { get; init; } = true;
    /// <summary>Whether the feed-forward projections have a bias.</summary>
    public bool FeedForwardBias { get; init; } = true;
    /// <summary>RMS norm on each head's query and key before the rotation (Qwen3).</summary>
    public bool QueryKeyNorm { get; init; }
    /// <summary>Width of the token embedding where it differs from <see cref="HiddenSize"/> (OPT-350m); null otherwise.</summary>
    public int? EmbeddingSize { get; init; }
    /// <summary>Attention sees only this many last tokens, its own included; null for all.</summary>
    public int? SlidingWindow { get; init; }
    /// <summary>Which layers have the <see cref="SlidingWindow"/>, one entry for each; null for every layer.</summary>
    public IReadOnlyList<bool>? WindowedLayers { get; init; }
    /// <summary>Token that begins a text.</summary>
    public int? BosTokenId { get; init; }
    /// <summary>Tokens that end a text; any of them stops generation.</summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];
    /// <summary>Token that fills up shorter rows of a batch.</summary>
    public int? PadTokenId { get; init; }

    /// <summary>
    /// Constant added to every score of a reward or value model (config.json: <c>reward_shift</c>). Hugging Face's
    /// <c>score</c> has no bias, so a shift (for example: labeler demonstrations score 0 on average) is kept here. Other tools ignore
    /// it, which changes no ranking.
    /// </summary>
    public double RewardShift { get; init; }

    /// <summary>The config.json this was read from, so that fields unknown here survive saving.</summary>
    internal JsonObject? Source { get; init; }

    /// <summary>A GPT-2-style model, the architecture that new models get here.</summary>
    /// <param name="vocabularySize">Number of token ids.</param>
    /// <param name="hiddenSize">Width; a multiple of <paramref name="heads"/>.</param>
    /// <param name="layers">Blocks.</param>
    /// <param name="heads">Attention heads.</param>
    /// <param name="maxPositions">Longest sequence.</param>
    /// <param name="eosTokenId">Token that ends a text; also written as bos, as GPT-2 does.</param>
    /// <param name="padTokenId">Padding token.</param>
    /// <exception cref="ModelConfigException">A size is impossible.</exception>
    public static ModelConfig Gpt2(int vocabularySize, int hiddenSize, int layers, int heads, int maxPositions, int? eosTokenId = null, int? padTokenId = null)
    {
        var config = new ModelConfig
        {
            ModelType = "gpt2",
            VocabularySize = vocabularySize,
            HiddenSize = hiddenSize,
            Layers = layers,
            Heads = heads,
            KeyValueHeads = heads,
            HeadSize = heads > 0 ? hiddenSize / heads : 0,
            IntermediateSize = 4 * hiddenSize,
            MaxPositions = maxPositions,
            BosTokenId = eosTokenId,
            EosTokenIds = eosTokenId is { } eos ? [eos] : [],
            PadTokenId = padTokenId,
        };
        config.Validate("new model");
        return config;
    }

    /// <summary>
    /// A GPT-NeoX-style model (Black et al. 2022, arXiv 2204.06745): rotary positions, attention and feed-forward side by side, weights
    /// drawn with standard deviation √(2/(5·width)). Relative positions let small models learn to copy and look up from far less text.
    /// </summary>
    /// <param name="vocabularySize">Number of token ids.</param>
    /// <param name="hiddenSize">Width; a multiple of <paramref name="heads"/>.</param>
    /// <param name="layers">Blocks.</param>
    /// <param name="heads">Attention heads.</param>
    /// <param name="maxPositions">Longest sequence.</param>
    /// <param name="eosTokenId">Token that ends a text; also written as bos.</param>
    /// <param name="padTokenId">Padding token.</param>
    /// <exception cref="ModelConfigException">A size is impossible.</exception>
    public static ModelConfig GptNeoX(int vocabularySize, int hiddenSize, int layers, int heads, int maxPositions, int? eosTokenId = null, int? padTokenId = null)
    {
        var config = Gpt2(vocabularySize, hiddenSize, layers, heads, maxPositions, eosTokenId, padTokenId) with
        {
            ModelType = "gpt_neox",
            Activation = Activation.Gelu,
            Positions = PositionKind.Rotary,
            RotaryFraction = 0.5,
            ParallelResidual = true,
            InitializerRange = Math.Sqrt(2.0 / (5 * hiddenSize)),
        };
        config.Validate("new model");
        return config;
    }

    /// <summary>Reads config.json of a model folder; generation_config.json, where present, decides the end tokens.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="ModelConfigException">The file is missing, damaged or of an unknown architecture.</exception>
    public static ModelConfig Load(string folder)
    {
        var path = Path.Combine(folder, "config.json");
        var json = ReadJson(path) ?? throw new ModelConfigException($"{path}: there is no such file; a model folder needs config.json.");
        var config = ModelConfigReader.Read(json, path);
        var generation = ReadJson(Path.Combine(folder, "generation_config.json"));
        if (generation?["eos_token_id"] is { } eos && ModelConfigReader.TokenIds(eos) is { Count: > 0 } ids) config = config with { EosTokenIds = ids };
        return config;
    }

    /// <summary>The fields of config.json for this model.</summary>
    /// <param name="architecture">Suffix of the class name in <c>architectures</c>.</param>
    /// <param name="type">Number type the weights are stored in: float32, float16 or bfloat16.</param>
    public JsonObject ToJson(Architecture architecture, string type) => ModelConfigWriter.Write(this, architecture, type);

    internal void Validate(string where)
    {
        void Require(bool condition, string field, object value, string need)
        {
            if (!condition) throw new ModelConfigException($"{where}: {field} is {value}; {need}.");
        }
        Require(VocabularySize > 0, "vocab_size", VocabularySize, "it must be positive");
        Require(Layers > 0, "number of layers", Layers, "it must be positive");
        Require(Heads > 0, "number of attention heads", Heads, "it must be positive");
        Require(HiddenSize > 0, "hidden size", HiddenSize, "it must be positive");
        Require(ModelType is "llama" or "mistral" or "qwen2" or "qwen3" || HiddenSize % Heads == 0, "hidden size", HiddenSize, $"it must be a multiple of the {Heads} heads");
        Require(KeyValueHeads > 0 && Heads % KeyValueHeads == 0, "num_key_value_heads", KeyValueHeads, $"it must divide the {Heads} heads");
        Require(HeadSize > 0, "head_dim", HeadSize, "it must be positive");
        Require(Positions != PositionKind.Rotary || RotarySize % 2 == 0, "head_dim", HeadSize, "the rotated part must be even");
        Require(IntermediateSize > 0, "intermediate size", IntermediateSize, "it must be positive");
        Require(MaxPositions > 0, "max_position_embeddings", MaxPositions, "it must be positive");
        Require(SlidingWindow is null or > 0, "sliding_window", SlidingWindow ?? 0, "it must be positive, or null for none");
        Require(WindowedLayers is null || WindowedLayers.Count == Layers, "layer_types", $"a list of {WindowedLayers?.Count}", $"there are {Layers} layers");
        if (RopeScaling is { Kind: "longrope" } scaling)
        {
            Require(scaling.OriginalMaxPositions > 1, "original_max_position_embeddings", scaling.OriginalMaxPositions, "it must be 2 or more");
            Factors("short_factor", scaling.ShortFactors);
            Factors("long_factor", scaling.LongFactors);
        }

        void Factors(string field, IReadOnlyList<double> factors)
        {
            Require(factors.Count == RotarySize / 2, field, $"a list of {factors.Count}", $"one number for each of the {RotarySize / 2} rotated pairs of a head is needed");
            Require(factors.All(f => f > 0 && double.IsFinite(f)), field, $"[{string.Join(", ", factors.Select(f => f.ToString(CultureInfo.InvariantCulture)))}]", "every number must be positive");
        }
    }

    /// <summary>Width of the rotated part of a head.</summary>
    internal int RotarySize => (int)(HeadSize * RotaryFraction);

    /// <summary>Longest text whose rotary angles are those of every shorter one; <see cref="MaxPositions"/> or more where none is too long.</summary>
    internal int SteadyPositions => RopeScaling switch
    {
        { Kind: "longrope" } scaling => scaling.OriginalMaxPositions,
        { Kind: "dynamic" } => TrainedPositions ?? MaxPositions,
        _ => MaxPositions,
    };

    /// <summary>Whether the rotary angles of a text change with its length, so that the model must know where each text ends.</summary>
    internal bool AnglesFollowLength => Positions == PositionKind.Rotary && SteadyPositions < MaxPositions;

    /// <summary>The sliding window of a layer; null where it sees all tokens.</summary>
    internal int? WindowOf(int layer) => WindowedLayers is { } some && !some[layer] ? null : SlidingWindow;

    /// <summary>What a layer's attention scores are multiplied by, beside 1/√(head size).</summary>
    internal double ScoreFactor(int layer) => (ScaleAttention ? 1 : Math.Sqrt(HeadSize)) / (ScaleAttentionByLayer ? layer + 1 : 1);

    /// <summary>Width of the vectors the head multiplies.</summary>
    internal int OutputSize => EmbeddingSize ?? HiddenSize;

    internal static JsonObject? ReadJson(string path)
    {
        if (!File.Exists(path)) return null;
        try
        {
            return JsonNode.Parse(File.ReadAllText(path), documentOptions: new JsonDocumentOptions { AllowTrailingCommas = true }) as JsonObject
                ?? throw new ModelConfigException($"{path}: the file is not a JSON object.");
        }
        catch (JsonException e)
        {
            throw new ModelConfigException($"{path}: the JSON is damaged: {e.Message}");
        }
    }
}

/// <summary>What a checkpoint's weights are for.</summary>
public enum Architecture
{
    /// <summary>Next-token prediction.</summary>
    CausalLm,
    /// <summary>One score per sequence: reward and value models.</summary>
    SequenceClassification,
}

/// <summary>Scaling of rotary frequencies for contexts longer than the model was first trained on.</summary>
/// <param name="Kind"><c>linear</c>, <c>llama3</c>, <c>yarn</c>, <c>longrope</c> or <c>dynamic</c>.</param>
/// <param name="Factor">How many times longer.</param>
/// <param name="LowFrequencyFactor">llama3: wavelengths longer than the original context divided by this are scaled fully.</param>
/// <param name="HighFrequencyFactor">llama3: wavelengths shorter than the original context divided by this are not scaled.</param>
/// <param name="OriginalMaxPositions">llama3, yarn and longrope: context of the first training; with yarn, 0 for the model's own.</param>
public sealed record RopeScaling(string Kind, double Factor, double LowFrequencyFactor = 1, double HighFrequencyFactor = 4, int OriginalMaxPositions = 8192)
{
    /// <summary>yarn: frequencies that turn more often than this within the original context are not scaled.</summary>
    public double FastTurns { get; init; } = 32;
    /// <summary>yarn: frequencies that turn less often than this are scaled fully.</summary>
    public double SlowTurns { get; init; } = 1;
    /// <summary>yarn: whether the band between the two begins and ends at whole frequencies.</summary>
    public bool WholeBand { get; init; } = true;
    /// <summary>yarn and longrope: queries and keys are multiplied by this.</summary>
    public double AttentionFactor { get; init; } = 1;
    /// <summary>longrope: what each frequency is divided by in a text of at most <see cref="OriginalMaxPositions"/> tokens, one number per rotated pair.</summary>
    public IReadOnlyList<double> ShortFactors { get; init; } = [];
    /// <summary>longrope: the same for longer texts.</summary>
    public IReadOnlyList<double> LongFactors { get; init; } = [];
}
