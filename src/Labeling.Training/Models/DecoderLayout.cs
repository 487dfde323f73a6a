namespace Labeling.Training.Models;

/// <summary>
/// The families' name maps: which tensor of a checkpoint is which part of the decoder, with its shape. The order is the
/// order in which transformers registers them.
/// </summary>
sealed class DecoderLayout(ModelConfig c, WeightSource source)
{
    readonly int hidden = c.HiddenSize;

    /// <summary>What a norm without weights of its own calculates with: constants that are nobody's parameters.</summary>
    readonly (TorchSharp.torch.Tensor Weight, TorchSharp.torch.Tensor Bias) plain = c.NormWeights ? default
        : (TorchSharp.torch.ones(c.HiddenSize).DetachFromDisposeScope(), TorchSharp.torch.zeros(c.HiddenSize).DetachFromDisposeScope());

    /// <summary>Prefix of every tensor of the body; old checkpoints of GPT-2, GPT-NeoX and BLOOM leave it out.</summary>
    public static string Prefix(string modelType) => modelType switch
    {
        "gpt2" or "bloom" => "transformer.",
        "gpt_neox" => "gpt_neox.",
        "opt" => "model.decoder.",
        _ => "model.",
    };

    public static string TokenEmbeddingName(string modelType) => Prefix(modelType) + modelType switch
    {
        "gpt2" => "wte.weight",
        "gpt_neox" => "embed_in.weight",
        "bloom" => "word_embeddings.weight",
        _ => "embed_tokens.weight",
    };

    public static string HeadName(string modelType) => modelType == "gpt_neox" ? "embed_out.weight" : "lm_head.weight";

    public Decoder Build()
    {
        var p = Prefix(c.ModelType);
        return c.ModelType switch
        {
            "gpt2" => Gpt2(p),
            "gpt_neox" => GptNeoX(p),
            "opt" => Opt(p),
            "bloom" => Bloom(p),
            _ => Llama(p),
        };
    }

    Decoder Gpt2(string p)
    {
        var tokens = Embedding(p + "wte.weight", c.VocabularySize, hidden);
        var positions = Embedding(p + "wpe.weight", c.MaxPositions, hidden);
        var blocks = Blocks(i => $"{p}h.{i}.", b => new Block
        {
            AttentionNorm = LayerNorm(b + "ln_1"),
            QueryKeyValue = Conv1D(b + "attn.c_attn", hidden, 3 * hidden),
            Output = Conv1D(b + "attn.c_proj", hidden, hidden, Init.Residual),
            FeedForwardNorm = LayerNorm(b + "ln_2"),
            Up = Conv1D(b + "mlp.c_fc", hidden, c.IntermediateSize),
            Down = Conv1D(b + "mlp.c_proj", c.IntermediateSize, hidden, Init.Residual),
        });
        return new Decoder(c, blocks, tokens) { PositionEmbedding = positions, FinalNorm = LayerNorm(p + "ln_f") };
    }

    Decoder GptNeoX(string p)
    {
        var tokens = Embedding(p + "embed_in.weight", c.VocabularySize, hidden);
        var blocks = Blocks(i => $"{p}layers.{i}.", b => new Block
        {
            AttentionNorm = LayerNorm(b + "input_layernorm"),
            FeedForwardNorm = LayerNorm(b + "post_attention_layernorm"),
            QueryKeyValue = Dense(b + "attention.query_key_value", hidden, 3 * hidden, c.QueryKeyValueBias),
            Output = Dense(b + "attention.dense", hidden, hidden, c.AttentionOutputBias, Init.Residual),
            Up = Dense(b + "mlp.dense_h_to_4h", hidden, c.IntermediateSize, c.FeedForwardBias),
            Down = Dense(b + "mlp.dense_4h_to_h", c.IntermediateSize, hidden, c.FeedForwardBias, Init.Residual),
        });
        return new Decoder(c, blocks, tokens) { FinalNorm = LayerNorm(p + "final_layer_norm"), InterleavedHeads = true };
    }

    Decoder Opt(string p)
    {
        var tokens = Embedding(p + "embed_tokens.weight", c.VocabularySize, c.OutputSize);
        // Two rows more than positions: transformers' OPT begins counting at 2.
        var positions = Embedding(p + "embed_positions.weight", c.MaxPositions + 2, hidden);
        var projectOut = c.EmbeddingSize is { } outer ? Dense(p + "project_out", hidden, outer, bias: false) : null;
        var projectIn = c.EmbeddingSize is { } inner ? Dense(p + "project_in", inner, hidden, bias: false) : null;
        var final = c.PreNorm && c.FinalNorm ? LayerNorm(p + "final_layer_norm") : null;
        var blocks = Blocks(i => $"{p}layers.{i}.", b => new Block
        {
            Key = Dense(b + "self_attn.k_proj", hidden, hidden, c.QueryKeyValueBias),
            Value = Dense(b + "self_attn.v_proj", hidden, hidden, c.QueryKeyValueBias),
            Query = Dense(b + "self_attn.q_proj", hidden, hidden, c.QueryKeyValueBias),
            Output = Dense(b + "self_attn.out_proj", hidden, hidden, c.AttentionOutputBias, Init.Residual),
            AttentionNorm = LayerNorm(b + "self_attn_layer_norm"),
            Up = Dense(b + "fc1", hidden, c.IntermediateSize, c.FeedForwardBias),
            Down = Dense(b + "fc2", c.IntermediateSize, hidden, c.FeedForwardBias, Init.Residual),
            FeedForwardNorm = LayerNorm(b + "final_layer_norm"),
        });
        return new Decoder(c, blocks, tokens) { PositionEmbedding = positions, PositionOffset = 2, FinalNorm = final, ProjectIn = projectIn, ProjectOut = projectOut };
    }

    Decoder Bloom(string p)
    {
        var tokens = Embedding(p + "word_embeddings.weight", c.VocabularySize, hidden);
        var embeddingNorm = LayerNorm(p + "word_embeddings_layernorm");
        var blocks = Blocks(i => $"{p}h.{i}.", b => new Block
        {
            AttentionNorm = LayerNorm(b + "input_layernorm"),
            QueryKeyValue = Dense(b + "self_attention.query_key_value", hidden, 3 * hidden, bias: true),
            Output = Dense(b + "self_attention.dense", hidden, hidden, bias: true, Init.Residual),
            FeedForwardNorm = LayerNorm(b + "post_attention_layernorm"),
            Up = Dense(b + "mlp.dense_h_to_4h", hidden, c.IntermediateSize, bias: true),
            Down = Dense(b + "mlp.dense_4h_to_h", c.IntermediateSize, hidden, bias: true, Init.Residual),
        });
        return new Decoder(c, blocks, tokens) { EmbeddingNorm = embeddingNorm, FinalNorm = LayerNorm(p + "ln_f"), InterleavedHeads = true };
    }

    Decoder Llama(string p)
    {
        var queries = c.Heads * c.HeadSize;
        var keys = c.KeyValueHeads * c.HeadSize;
        var tokens = Embedding(p + "embed_tokens.weight", c.VocabularySize, hidden);
        var blocks = Blocks(i => $"{p}layers.{i}.", b => new Block
        {
            Query = Dense(b + "self_attn.q_proj", hidden, queries, c.QueryKeyValueBias),
            Key = Dense(b + "self_attn.k_proj", hidden, keys, c.QueryKeyValueBias),
            Value = Dense(b + "self_attn.v_proj", hidden, keys, c.QueryKeyValueBias),
            Output = Dense(b + "self_attn.o_proj", queries, hidden, c.AttentionOutputBias, Init.Residual),
            QueryNorm = c.QueryKeyNorm ? RmsNorm(b + "self_attn.q_norm", c.HeadSize) : null,
            KeyNorm = c.QueryKeyNorm ? RmsNorm(b + "self_attn.k_norm", c.HeadSize) : null,
            Gate = Dense(b + "mlp.gate_proj", hidden, c.IntermediateSize, c.FeedForwardBias),
            Up = Dense(b + "mlp.up_proj", hidden, c.IntermediateSize, c.FeedForwardBias),
            Down = Dense(b + "mlp.down_proj", c.IntermediateSize, hidden, c.FeedForwardBias, Init.Residual),
            AttentionNorm = RmsNorm(b + "input_layernorm", hidden),
            FeedForwardNorm = RmsNorm(b + "post_attention_layernorm", hidden),
        });
        return new Decoder(c, blocks, tokens) { FinalNorm = RmsNorm(p + "norm", hidden) };
    }

    Block[] Blocks(Func<int, string> prefix, Func<string, Block> make) => [.. Enumerable.Range(0, c.Layers).Select(i => make(prefix(i)))];

    TorchSharp.torch.Tensor Embedding(string name, int rows, int width) => source(name, [rows, width], Init.Normal);

    Linear Dense(string name, int from, int to, bool bias, Init init = Init.Normal) =>
        new(name, source(name + ".weight", [to, from], init), bias ? source(name + ".bias", [to], Init.Zeros) : null);

    Linear Conv1D(string name, int from, int to, Init init = Init.Normal) =>
        new(name, source(name + ".weight", [from, to], init), source(name + ".bias", [to], Init.Zeros), transposed: true);

    Norm LayerNorm(string name) => c.NormWeights
        ? new(source(name + ".weight", [hidden], Init.Ones), source(name + ".bias", [hidden], Init.Zeros), c.NormEpsilon)
        : new(plain.Weight, plain.Bias, c.NormEpsilon);

    Norm RmsNorm(string name, int width) => new(source(name + ".weight", [width], Init.Ones), null, c.NormEpsilon);
}
