using System.Text;
using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Benchmarks.Peers;

/// <summary>Writes a Llama model as a GGUF file, version 3, without a vocabulary (the format: ggml's docs/gguf.md).</summary>
internal static class GgufFile
{
    private const int Alignment = 32;
    private const int UInt32 = 4, Float32 = 6, Text = 8;

    private static readonly (string Ours, string Theirs)[] BlockNames =
    [
        ("input_layernorm", "attn_norm"), ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"), ("self_attn.o_proj", "attn_output"),
        ("post_attention_layernorm", "ffn_norm"), ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
    ];

    /// <summary>Writes the file.</summary>
    /// <param name="path">Where to.</param>
    /// <param name="model">A model of type llama with tied embeddings.</param>
    /// <param name="type">float32 or bfloat16, of the matrices; norms are float32.</param>
    public static void Write(string path, CausalLm model, ScalarType type)
    {
        using var frozen = no_grad();
        using var scope = NewDisposeScope();
        var tensors = model.Parameters.Select(p => (Name: Name(p.Key), Values: Values(model.Config, p.Key, p.Value, type))).ToList();
        using var file = new BinaryWriter(File.Create(path));
        file.Write("GGUF"u8);
        file.Write(3);
        file.Write((long)tensors.Count);
        var keys = Keys(model.Config);
        file.Write((long)keys.Count);
        foreach (var (key, value) in keys) WriteKey(file, key, value);
        long offset = 0;
        foreach (var (name, values) in tensors)
        {
            WriteText(file, name);
            file.Write(values.shape.Length);
            foreach (var size in values.shape.Reverse()) file.Write(size);
            file.Write(values.dtype == ScalarType.BFloat16 ? LlamaCpp.BFloat16 : LlamaCpp.Float32);
            file.Write(offset);
            offset += Padded(values.NumberOfElements * values.ElementSize);
        }
        foreach (var (_, values) in tensors)
        {
            file.Flush();
            file.Write(new byte[Padded(file.BaseStream.Position) - file.BaseStream.Position]);
            file.Write(values.bytes);
        }
    }

    private static long Padded(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static List<(string Key, object Value)> Keys(ModelConfig c) =>
    [
        ("general.architecture", "llama"),
        ("llama.vocab_size", c.VocabularySize),
        ("llama.context_length", c.MaxPositions),
        ("llama.embedding_length", c.HiddenSize),
        ("llama.block_count", c.Layers),
        ("llama.feed_forward_length", c.IntermediateSize),
        ("llama.attention.head_count", c.Heads),
        ("llama.attention.head_count_kv", c.KeyValueHeads),
        ("llama.attention.layer_norm_rms_epsilon", (float)c.NormEpsilon),
        ("llama.rope.dimension_count", c.HeadSize),
        ("llama.rope.freq_base", (float)c.RopeTheta),
        ("tokenizer.ggml.model", "no_vocab"),
    ];

    private static string Name(string ours)
    {
        if (ours == "model.embed_tokens.weight") return "token_embd.weight";
        if (ours == "model.norm.weight") return "output_norm.weight";
        // model.layers.7.mlp.up_proj.weight
        var parts = ours.Split('.', 4);
        return $"blk.{parts[2]}.{BlockNames.Single(n => n.Ours + ".weight" == parts[3]).Theirs}.weight";
    }

    /// <summary>llama.cpp turns neighbours of a head's query and key, Hugging Face those half a head apart: the rows move.</summary>
    private static Tensor Values(ModelConfig c, string name, Tensor weight, ScalarType type)
    {
        if (weight.shape.Length == 1) return weight.detach();
        var heads = name.Contains("q_proj", StringComparison.Ordinal) ? c.Heads : name.Contains("k_proj", StringComparison.Ordinal) ? c.KeyValueHeads : 0;
        var moved = heads == 0 ? weight.detach() : weight.detach().view(heads, 2, c.HeadSize / 2, c.HiddenSize).transpose(1, 2).reshape(weight.shape);
        return moved.to_type(type).contiguous();
    }

    private static void WriteKey(BinaryWriter file, string key, object value)
    {
        WriteText(file, key);
        switch (value)
        {
            case int number:
                file.Write(UInt32);
                file.Write(number);
                break;
            case float number:
                file.Write(Float32);
                file.Write(number);
                break;
            case string text:
                file.Write(Text);
                WriteText(file, text);
                break;
        }
    }

    private static void WriteText(BinaryWriter file, string text)
    {
        file.Write(Encoding.UTF8.GetByteCount(text) + 0L);
        file.Write(Encoding.UTF8.GetBytes(text));
    }
}
