using System.Text.Json;
using System.Text.Json.Nodes;

namespace Labeling.Training.Models;

/// <summary>Reads config.json as transformers writes it, old and new field names alike; missing fields get transformers' defaults.</summary>
static class ModelConfigReader
{
    public static ModelConfig Read(JsonObject json, string path)
    {
        var fields = new Fields(json, path);
        var type = fields.Text("model_type") ?? throw new ModelConfigException($"{path}: model_type is missing.");
        var config = type switch
        {
            "gpt2" => Gpt2(fields),
            "gpt_neox" => GptNeoX(fields),
            "opt" => Opt(fields),
            "bloom" => Bloom(fields),
            "llama" or "mistral" or "qwen2" or "qwen3" => Llama(fields, type),
            _ => throw new ModelConfigException($"{path}: model_type {type} is not known; known are gpt2, gpt_neox, opt, bloom, llama, mistral, qwen2, qwen3."),
        };
        config = config with
        {
            BosTokenId = fields.Token("bos_token_id"),
            EosTokenIds = json["eos_token_id"] is { } eos ? TokenIds(eos) ?? throw fields.Wrong("eos_token_id", "a token id or a list of them") : [],
            PadTokenId = fields.Token("pad_token_id"),
            RewardShift = fields.Number("reward_shift", 0),
            Source = (JsonObject)json.DeepClone(),
        };
        config.Validate(path);
        return config;
    }

    /// <summary>One id or a list of ids; null when it is neither.</summary>
    public static IReadOnlyList<int>? TokenIds(JsonNode node)
    {
        if (node is JsonValue value && value.TryGetValue<int>(out var one)) return [one];
        if (node is not JsonArray array) return null;
        var ids = new List<int>();
        foreach (var item in array)
        {
            if (item is not JsonValue v || !v.TryGetValue<int>(out var id)) return null;
            ids.Add(id);
        }
        return ids;
    }

    static ModelConfig Gpt2(Fields f)
    {
        f.Refuse("add_cross_attention", true);
        var hidden = f.Int("n_embd", 768);
        var heads = f.Int("n_head", 12);
        return new ModelConfig
        {
            ModelType = "gpt2",
            VocabularySize = f.Int("vocab_size", 50257),
            HiddenSize = hidden,
            Layers = f.Int("n_layer", 12),
            Heads = heads,
            KeyValueHeads = heads,
            HeadSize = hidden / Math.Max(heads, 1),
            IntermediateSize = f.OptionalInt("n_inner") ?? 4 * hidden,
            MaxPositions = f.Int("n_positions", 1024),
            NormEpsilon = f.Number("layer_norm_epsilon", 1e-5),
            Activation = f.Activation("activation_function", "gelu_new"),
            TieWordEmbeddings = f.Flag("tie_word_embeddings", true),
            InitializerRange = f.Number("initializer_range", 0.02),
            // reorder_and_upcast_attn, the third of these flags, is about the order of half-precision products and changes no value.
            ScaleAttention = f.Flag("scale_attn_weights", true),
            ScaleAttentionByLayer = f.Flag("scale_attn_by_inverse_layer_idx", false),
        };
    }

    static ModelConfig GptNeoX(Fields f)
    {
        var hidden = f.Int("hidden_size", 6144);
        var heads = f.Int("num_attention_heads", 64);
        var bias = f.Flag("attention_bias", true);
        var positions = f.Int("max_position_embeddings", 2048);
        return new ModelConfig
        {
            ModelType = "gpt_neox",
            VocabularySize = f.Int("vocab_size", 50432),
            HiddenSize = hidden,
            Layers = f.Int("num_hidden_layers", 44),
            Heads = heads,
            KeyValueHeads = heads,
            HeadSize = hidden / Math.Max(heads, 1),
            IntermediateSize = f.Int("intermediate_size", 24576),
            MaxPositions = positions,
            NormEpsilon = f.Number("layer_norm_eps", 1e-5),
            Activation = f.Activation("hidden_act", "gelu"),
            TieWordEmbeddings = f.Flag("tie_word_embeddings", false),
            InitializerRange = f.Number("initializer_range", 0.02),
            Positions = PositionKind.Rotary,
            RopeTheta = f.RopeTheta(f.Number("rotary_emb_base", 10000)),
            RotaryFraction = f.RotaryFraction(f.Number("rotary_pct", f.Number("partial_rotary_factor", 0.25))),
            RopeScaling = f.RopeScaling(positions),
            ParallelResidual = f.Flag("use_parallel_residual", true),
            QueryKeyValueBias = bias,
            AttentionOutputBias = bias,
        };
    }

    static ModelConfig Opt(Fields f)
    {
        var hidden = f.Int("hidden_size", 768);
        var heads = f.Int("num_attention_heads", 12);
        var embedding = f.OptionalInt("word_embed_proj_dim") ?? hidden;
        var bias = f.Flag("enable_bias", true);
        return new ModelConfig
        {
            ModelType = "opt",
            VocabularySize = f.Int("vocab_size", 50272),
            HiddenSize = hidden,
            Layers = f.Int("num_hidden_layers", 12),
            Heads = heads,
            KeyValueHeads = heads,
            HeadSize = hidden / Math.Max(heads, 1),
            IntermediateSize = f.Int("ffn_dim", 3072),
            MaxPositions = f.Int("max_position_embeddings", 2048),
            Activation = f.Activation("activation_function", "relu"),
            TieWordEmbeddings = f.Flag("tie_word_embeddings", true),
            InitializerRange = f.Number("init_std", 0.02),
            PreNorm = f.Flag("do_layer_norm_before", true),
            FinalNorm = !f.Flag("_remove_final_layer_norm", false),
            NormWeights = f.Flag("layer_norm_elementwise_affine", true),
            QueryKeyValueBias = bias,
            AttentionOutputBias = bias,
            FeedForwardBias = bias,
            EmbeddingSize = embedding == hidden ? null : embedding,
        };
    }

    static ModelConfig Bloom(Fields f)
    {
        var hidden = f.OptionalInt("n_embed") ?? f.Int("hidden_size", 64);
        var heads = f.OptionalInt("num_attention_heads") ?? f.Int("n_head", 8);
        return new ModelConfig
        {
            ModelType = "bloom",
            VocabularySize = f.Int("vocab_size", 250880),
            HiddenSize = hidden,
            Layers = f.OptionalInt("num_hidden_layers") ?? f.Int("n_layer", 2),
            Heads = heads,
            KeyValueHeads = heads,
            HeadSize = hidden / Math.Max(heads, 1),
            IntermediateSize = 4 * hidden,
            // The linear bias has no end of its own; seq_length is what the released models were trained on.
            MaxPositions = f.OptionalInt("seq_length") ?? 2048,
            NormEpsilon = f.Number("layer_norm_epsilon", 1e-5),
            TieWordEmbeddings = f.Flag("tie_word_embeddings", true),
            InitializerRange = f.Number("initializer_range", 0.02),
            Positions = PositionKind.Alibi,
            NormedResidual = f.Flag("apply_residual_connection_post_layernorm", false),
        };
    }

    static ModelConfig Llama(Fields f, string type)
    {
        var hidden = f.Int("hidden_size", 4096);
        var heads = f.Int("num_attention_heads", 32);
        var bias = type switch { "qwen2" => true, "mistral" => false, _ => f.Flag("attention_bias", false) };
        var layers = f.Int("num_hidden_layers", 32);
        var positions = f.Int("max_position_embeddings", type switch { "llama" => 2048, "mistral" => 131072, _ => 32768 });
        var (window, windowed) = f.Windows(type, layers);
        return new ModelConfig
        {
            ModelType = type,
            VocabularySize = f.Int("vocab_size", type is "qwen2" or "qwen3" ? 151936 : 32000),
            HiddenSize = hidden,
            Layers = layers,
            Heads = heads,
            KeyValueHeads = f.OptionalInt("num_key_value_heads") ?? (type == "mistral" ? 8 : heads),
            HeadSize = f.OptionalInt("head_dim") ?? (type == "qwen3" ? 128 : hidden / Math.Max(heads, 1)),
            IntermediateSize = f.Int("intermediate_size", type switch { "llama" => 11008, "mistral" => 14336, _ => 22016 }),
            MaxPositions = positions,
            NormEpsilon = f.Number("rms_norm_eps", 1e-6),
            Activation = f.Activation("hidden_act", "silu"),
            TieWordEmbeddings = f.Flag("tie_word_embeddings", false),
            InitializerRange = f.Number("initializer_range", 0.02),
            Positions = PositionKind.Rotary,
            RopeTheta = f.RopeTheta(10000),
            RopeScaling = f.RopeScaling(positions),
            QueryKeyValueBias = bias,
            AttentionOutputBias = type is "llama" or "qwen3" && bias,
            FeedForwardBias = type == "llama" && f.Flag("mlp_bias", false),
            QueryKeyNorm = type == "qwen3",
            SlidingWindow = window,
            WindowedLayers = windowed,
        };
    }

    /// <summary>Typed access to the fields with errors that name file and field.</summary>
    sealed class Fields(JsonObject json, string path)
    {
        public ModelConfigException Wrong(string field, string need) =>
            new($"{path}: {field} is {json[field]?.ToJsonString() ?? "missing"}; supported is {need}.");

        public string? Text(string field) => json[field] is JsonValue v && v.TryGetValue<string>(out var s) ? s : null;

        public int? OptionalInt(string field) => json[field] is not { } node ? null
            : node is JsonValue v && v.TryGetValue<int>(out var n) && n >= 0 ? n : throw Wrong(field, "a whole number of 0 or more");

        public int Int(string field, int missing) => OptionalInt(field) ?? missing;

        public int? Token(string field) => json[field] is not { } node ? null
            : node is JsonValue v && v.TryGetValue<int>(out var n) ? (n < 0 ? null : n) : throw Wrong(field, "a token id");

        public double Number(string field, double missing) => Number(json, field, missing);

        double Number(JsonObject from, string field, double missing) => from[field] is not { } node ? missing
            : node is JsonValue v && v.GetValueKind() == JsonValueKind.Number && double.IsFinite(v.GetValue<double>()) ? v.GetValue<double>()
            : throw new ModelConfigException($"{path}: {field} is {node.ToJsonString()}; a number is needed.");

        public bool Flag(string field, bool missing) => json[field] is not { } node ? missing
            : node is JsonValue v && v.TryGetValue<bool>(out var b) ? b : throw Wrong(field, "true or false");

        public void Refuse(string field, bool value)
        {
            if (Flag(field, !value) == value) throw Wrong(field, (!value).ToString().ToLowerInvariant());
        }

        public Activation Activation(string field, string missing) => (Text(field) ?? missing) switch
        {
            "gelu_new" or "gelu_pytorch_tanh" or "gelu_fast" or "gelu_accurate" => Models.Activation.GeluTanh,
            "gelu" or "gelu_python" => Models.Activation.Gelu,
            "relu" => Models.Activation.Relu,
            "silu" or "swish" => Models.Activation.Silu,
            _ => throw Wrong(field, "gelu_new, gelu_pytorch_tanh, gelu_fast, gelu_accurate, gelu, gelu_python, relu, silu or swish"),
        };

        /// <summary>
        /// The sliding window and the layers that have it, null for all of them. <c>layer_types</c> says which; without it, Mistral's are all layers and
        /// Qwen's those from <c>max_window_layers</c> on. transformers reads a Mistral with <c>layer_types</c> as a Ministral, which is the same model.
        /// </summary>
        public (int? Window, bool[]? Layers) Windows(string type, int layers)
        {
            if (type == "llama") return (null, null);
            int? window = type != "mistral" && !Flag("use_sliding_window", false) ? null : json.ContainsKey("sliding_window") ? OptionalInt("sliding_window") : 4096;
            var first = window is null ? layers : type == "mistral" ? 0 : Int("max_window_layers", 28);
            var windowed = LayerTypes(layers) ?? [.. Enumerable.Range(0, layers).Select(i => i >= first)];
            if (!windowed.Contains(true)) return (null, null);
            if (window is null) throw Wrong("layer_types", $"full_attention alone where {(type == "mistral" ? "sliding_window is null" : "use_sliding_window is false or sliding_window null")}");
            return (window, windowed.Contains(false) ? windowed : null);
        }

        bool[]? LayerTypes(int layers)
        {
            if (json["layer_types"] is not { } types) return null;
            var names = types is JsonArray list ? list.Select(t => t is JsonValue v && v.TryGetValue<string>(out var name) ? name : "").ToArray() : [];
            return names.Length == layers && names.All(n => n is "full_attention" or "sliding_attention")
                ? [.. names.Select(n => n == "sliding_attention")]
                : throw Wrong("layer_types", $"a list with full_attention or sliding_attention for each of the {layers} layers");
        }

        /// <summary>New transformers versions write one <c>rope_parameters</c> object in place of two fields.</summary>
        JsonObject? RopeParameters => json["rope_parameters"] as JsonObject;

        public double RopeTheta(double missing) => RopeParameters is { } rope
            ? Number(rope, "rope_theta", Number("rope_theta", missing))
            : Number("rope_theta", missing);

        public double RotaryFraction(double missing) => RopeParameters is { } rope ? Number(rope, "partial_rotary_factor", missing) : missing;

        /// <param name="positions">Longest sequence of the model.</param>
        public RopeScaling? RopeScaling(int positions)
        {
            if ((RopeParameters ?? json["rope_scaling"]) is not JsonObject scaling) return null;
            var kind = (scaling["rope_type"] ?? scaling["type"])?.GetValue<string>() ?? "default";
            var factor = Number(scaling, "factor", kind == "llama3" ? 8 : 1);
            return kind switch
            {
                "default" => null,
                "linear" or "dynamic" => new RopeScaling(kind, factor),
                "llama3" => new RopeScaling(kind, factor, Number(scaling, "low_freq_factor", 1), Number(scaling, "high_freq_factor", 4),
                    (int)Number(scaling, "original_max_position_embeddings", 8192)),
                "yarn" => new RopeScaling(kind, factor, OriginalMaxPositions: (int)Number(scaling, "original_max_position_embeddings", 0))
                {
                    FastTurns = Number(scaling, "beta_fast", 32),
                    SlowTurns = Number(scaling, "beta_slow", 1),
                    WholeBand = scaling["truncate"]?.GetValue<bool>() ?? true,
                    AttentionFactor = Number(scaling, "attention_factor", YarnAttention(scaling, factor)),
                },
                "longrope" or "su" => LongRope(scaling, positions),
                _ => throw new ModelConfigException($"{path}: rope scaling {kind} is not supported; supported are linear, dynamic, yarn, longrope and llama3."),
            };
        }

        /// <summary>
        /// LongRoPE (Ding et al. 2024, arXiv 2402.13753) with the attention factor of Phi-3 (Abdin et al. 2024, arXiv 2404.14219), √(1 + ln(factor) / ln(original)).
        /// Phi-3 keeps the original context beside the scaling, which then counts, and may leave the factor to be worked out.
        /// </summary>
        RopeScaling LongRope(JsonObject scaling, int positions)
        {
            var original = OptionalInt("original_max_position_embeddings") ?? (int)Number(scaling, "original_max_position_embeddings", positions);
            var factor = Number(scaling, "factor", (double)positions / original);
            return new RopeScaling("longrope", factor, OriginalMaxPositions: original)
            {
                ShortFactors = Numbers(scaling, "short_factor"),
                LongFactors = Numbers(scaling, "long_factor"),
                AttentionFactor = Number(scaling, "attention_factor", factor <= 1 ? 1 : Math.Sqrt(1 + Math.Log(factor) / Math.Log(original))),
            };
        }

        double[] Numbers(JsonObject from, string field) => from[field] is JsonArray list && list.All(n => n is JsonValue v && v.GetValueKind() == JsonValueKind.Number)
            ? [.. list.Select(n => n!.GetValue<double>())]
            : throw new ModelConfigException($"{path}: {field} is {from[field]?.ToJsonString() ?? "missing"}; a list of numbers is needed.");

        /// <summary>0.1·ln(factor) + 1 (Peng et al. 2023, arXiv 2309.00071, section 3.4), or DeepSeek's quotient of two such numbers.</summary>
        double YarnAttention(JsonObject scaling, double factor)
        {
            double Magnitude(double scale) => factor <= 1 ? 1 : 0.1 * scale * Math.Log(factor) + 1;
            var (scale, allDimensions) = (Number(scaling, "mscale", 0), Number(scaling, "mscale_all_dim", 0));
            return scale != 0 && allDimensions != 0 ? Magnitude(scale) / Magnitude(allDimensions) : Magnitude(1);
        }
    }
}
