using System.Text.Json.Nodes;

namespace Labeling.Training.Models;

/// <summary>Writes config.json in transformers' field names. Fields read from a source file and unknown here are kept.</summary>
static class ModelConfigWriter
{
    public static JsonObject Write(ModelConfig config, Architecture architecture, string type)
    {
        var json = config.Source is { } source ? (JsonObject)source.DeepClone() : NewFields(config);
        json["model_type"] = config.ModelType;
        json["architectures"] = new JsonArray(ClassName(config.ModelType) + (architecture == Architecture.CausalLm ? CausalSuffix(config.ModelType) : "ForSequenceClassification"));
        json["torch_dtype"] = type;
        json["vocab_size"] = config.VocabularySize;
        json["tie_word_embeddings"] = config.TieWordEmbeddings;
        json["bos_token_id"] = config.BosTokenId;
        json["eos_token_id"] = Eos(config);
        json["pad_token_id"] = config.PadTokenId;
        // One label: transformers derives num_labels from id2label.
        if (architecture == Architecture.SequenceClassification)
        {
            json["id2label"] = new JsonObject { ["0"] = "LABEL_0" };
            json["label2id"] = new JsonObject { ["LABEL_0"] = 0 };
            json["reward_shift"] = config.RewardShift;
        }
        else
        {
            foreach (var field in new[] { "id2label", "label2id", "num_labels", "reward_shift" }) json.Remove(field);
        }
        return json;
    }

    public static JsonNode? Eos(ModelConfig config) => config.EosTokenIds.Count switch
    {
        0 => null,
        1 => JsonValue.Create(config.EosTokenIds[0]),
        _ => new JsonArray([.. config.EosTokenIds.Select(id => (JsonNode)id)]),
    };

    static string CausalSuffix(string type) => type == "gpt2" ? "LMHeadModel" : "ForCausalLM";

    static string ClassName(string type) => type switch
    {
        "gpt2" => "GPT2",
        "gpt_neox" => "GPTNeoX",
        "opt" => "OPT",
        "bloom" => "Bloom",
        "llama" => "Llama",
        "mistral" => "Mistral",
        "qwen2" => "Qwen2",
        _ => "Qwen3",
    };

    static JsonObject NewFields(ModelConfig c)
    {
        var activation = c.Activation switch { Activation.GeluTanh => "gelu_new", Activation.Gelu => "gelu", Activation.Relu => "relu", _ => "silu" };
        var json = c.ModelType switch
        {
            "gpt2" => new JsonObject
            {
                ["n_positions"] = c.MaxPositions,
                ["n_embd"] = c.HiddenSize,
                ["n_layer"] = c.Layers,
                ["n_head"] = c.Heads,
                ["n_inner"] = c.IntermediateSize == 4 * c.HiddenSize ? null : c.IntermediateSize,
                ["activation_function"] = activation,
                ["resid_pdrop"] = 0.0,
                ["embd_pdrop"] = 0.0,
                ["attn_pdrop"] = 0.0,
                ["layer_norm_epsilon"] = c.NormEpsilon,
                ["initializer_range"] = c.InitializerRange,
                ["scale_attn_weights"] = c.ScaleAttention,
                ["scale_attn_by_inverse_layer_idx"] = c.ScaleAttentionByLayer,
                ["use_cache"] = true,
            },
            "bloom" => new JsonObject
            {
                ["hidden_size"] = c.HiddenSize,
                ["n_layer"] = c.Layers,
                ["n_head"] = c.Heads,
                ["seq_length"] = c.MaxPositions,
                ["layer_norm_epsilon"] = c.NormEpsilon,
                ["initializer_range"] = c.InitializerRange,
                ["apply_residual_connection_post_layernorm"] = c.NormedResidual,
                ["hidden_dropout"] = 0.0,
                ["attention_dropout"] = 0.0,
            },
            "opt" => new JsonObject
            {
                ["hidden_size"] = c.HiddenSize,
                ["num_hidden_layers"] = c.Layers,
                ["num_attention_heads"] = c.Heads,
                ["ffn_dim"] = c.IntermediateSize,
                ["max_position_embeddings"] = c.MaxPositions,
                ["activation_function"] = activation,
                ["init_std"] = c.InitializerRange,
                ["do_layer_norm_before"] = c.PreNorm,
                ["_remove_final_layer_norm"] = !c.FinalNorm,
                ["layer_norm_elementwise_affine"] = c.NormWeights,
                ["enable_bias"] = c.QueryKeyValueBias,
                ["word_embed_proj_dim"] = c.OutputSize,
                ["dropout"] = 0.0,
                ["attention_dropout"] = 0.0,
            },
            "gpt_neox" => new JsonObject
            {
                ["hidden_size"] = c.HiddenSize,
                ["num_hidden_layers"] = c.Layers,
                ["num_attention_heads"] = c.Heads,
                ["intermediate_size"] = c.IntermediateSize,
                ["max_position_embeddings"] = c.MaxPositions,
                ["hidden_act"] = activation,
                ["layer_norm_eps"] = c.NormEpsilon,
                ["initializer_range"] = c.InitializerRange,
                ["rotary_pct"] = c.RotaryFraction,
                ["rotary_emb_base"] = c.RopeTheta,
                ["use_parallel_residual"] = c.ParallelResidual,
                ["attention_bias"] = c.QueryKeyValueBias,
            },
            _ => new JsonObject
            {
                ["hidden_size"] = c.HiddenSize,
                ["intermediate_size"] = c.IntermediateSize,
                ["num_hidden_layers"] = c.Layers,
                ["num_attention_heads"] = c.Heads,
                ["num_key_value_heads"] = c.KeyValueHeads,
                ["head_dim"] = c.HeadSize,
                ["max_position_embeddings"] = c.MaxPositions,
                ["hidden_act"] = activation,
                ["rms_norm_eps"] = c.NormEpsilon,
                ["initializer_range"] = c.InitializerRange,
                ["rope_theta"] = c.RopeTheta,
                ["attention_bias"] = c.QueryKeyValueBias,
                ["mlp_bias"] = c.FeedForwardBias,
            },
        };
        if (c.Positions == PositionKind.Rotary) json["rope_scaling"] = Scaling(c.RopeScaling);
        if (c.ModelType is "mistral" or "qwen2" or "qwen3") AddWindows(json, c);
        return json;
    }

    static JsonObject? Scaling(RopeScaling? scaling)
    {
        if (scaling is not { } s) return null;
        var json = new JsonObject { ["rope_type"] = s.Kind, ["factor"] = s.Factor };
        if (s.Kind is "llama3" or "yarn" or "longrope" && s.OriginalMaxPositions > 0) json["original_max_position_embeddings"] = s.OriginalMaxPositions;
        if (s.Kind is "yarn" or "longrope") json["attention_factor"] = s.AttentionFactor;
        switch (s.Kind)
        {
            case "llama3":
                json["low_freq_factor"] = s.LowFrequencyFactor;
                json["high_freq_factor"] = s.HighFrequencyFactor;
                break;
            case "yarn":
                json["beta_fast"] = s.FastTurns;
                json["beta_slow"] = s.SlowTurns;
                json["truncate"] = s.WholeBand;
                break;
            case "longrope":
                json["short_factor"] = Numbers(s.ShortFactors);
                json["long_factor"] = Numbers(s.LongFactors);
                break;
        }
        return json;
    }

    static JsonArray Numbers(IReadOnlyList<double> numbers) => [.. numbers.Select(n => (JsonNode)n)];

    static void AddWindows(JsonObject json, ModelConfig c)
    {
        json["sliding_window"] = c.SlidingWindow;
        var windowed = Enumerable.Range(0, c.Layers).Select(i => c.WindowOf(i) is not null).ToList();
        if (c.ModelType != "mistral")
        {
            json["use_sliding_window"] = c.SlidingWindow is not null;
            // What versions before layer_types go by.
            json["max_window_layers"] = windowed.TakeWhile(w => !w).Count();
        }
        // A Mistral with this field is another model class to transformers, so it is there only when it is needed.
        if (c.ModelType != "mistral" || c.WindowedLayers is not null)
            json["layer_types"] = new JsonArray([.. windowed.Select(w => (JsonNode)(w ? "sliding_attention" : "full_attention"))]);
    }
}
