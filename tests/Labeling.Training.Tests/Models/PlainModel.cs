using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Models;

/// <summary>
/// The families' forward passes for one text without padding, written down in double from transformers' modeling files with loops over
/// arrays. It shares nothing with the library but the names of the weights.
/// </summary>
sealed class PlainModel(JsonObject config, IReadOnlyDictionary<string, double[]> weights)
{
    readonly string type = (string)config["model_type"]!;

    /// <summary>Names and shapes of a checkpoint as transformers writes it for a config.json.</summary>
    public static IEnumerable<(string Name, int[] Shape)> Shapes(JsonObject config)
    {
        var plain = new PlainModel(config, new Dictionary<string, double[]>());
        return plain.type switch { "gpt2" => plain.Gpt2Shapes(), "opt" => plain.OptShapes(), "bloom" => plain.BloomShapes(), _ => plain.LlamaShapes() };
    }

    /// <summary>A random checkpoint: matrices N(0, 0.35), norms 1 + N(0, 0.3), biases N(0, 0.2).</summary>
    public static Dictionary<string, Tensor> Random(JsonObject config, ulong seed)
    {
        using var generator = new Generator(seed);
        return Shapes(config).ToDictionary(s => s.Name, s =>
        {
            var noise = randn([.. s.Shape.Select(n => (long)n)], generator: generator);
            return s.Name.EndsWith("bias", StringComparison.Ordinal) ? noise * 0.2 : s.Shape.Length == 1 ? 1 + noise * 0.3 : noise * 0.35;
        });
    }

    public static PlainModel Of(JsonObject config, IReadOnlyDictionary<string, Tensor> weights) =>
        new(config, weights.ToDictionary(w => w.Key, w => w.Value.to_type(ScalarType.Float64).data<double>().ToArray()));

    /// <summary>A number of a weight, to be moved a little for a numerical derivative.</summary>
    public ref double Entry(string name, int index) => ref weights[name][index];

    /// <summary>Logits of every position, [time][vocabulary].</summary>
    public double[][] Logits(int[] ids)
    {
        var head = type switch { "gpt2" => "transformer.wte", "opt" => "model.decoder.embed_tokens", "bloom" => "transformer.word_embeddings", _ => "lm_head" };
        return [.. Hidden(ids).Select(x => Linear(x, head, Number("vocab_size")))];
    }

    /// <summary>Mean of −log p(next token).</summary>
    public double Loss(int[] ids) => Logits(ids)[..^1].Select((row, t) => -LogProbability(row, ids[t + 1])).Average();

    public static double LogProbability(double[] logits, int token)
    {
        var largest = logits.Max();
        return logits[token] - largest - Math.Log(logits.Sum(l => Math.Exp(l - largest)));
    }

    /// <summary>Hidden states after the last norm, [time][hidden].</summary>
    public double[][] Hidden(int[] ids) => type switch { "gpt2" => Gpt2(ids), "opt" => Opt(ids), "bloom" => Bloom(ids), _ => Llama(ids) };

    double[][] Gpt2(int[] ids)
    {
        var (hidden, heads) = (Number("n_embd"), Number("n_head"));
        var x = ids.Select((id, t) => Plus(Row("transformer.wte.weight", id, hidden), Row("transformer.wpe.weight", t, hidden))).ToArray();
        for (var layer = 0; layer < Number("n_layer"); layer++)
        {
            var p = $"transformer.h.{layer}.";
            var qkv = x.Select(row => Conv1D(LayerNorm(row, p + "ln_1"), p + "attn.c_attn", 3 * hidden)).ToArray();
            var scale = 1.0;
            if (Flag("scale_attn_weights", true)) scale /= Math.Sqrt(hidden / heads);
            if (Flag("scale_attn_by_inverse_layer_idx", false)) scale /= layer + 1;
            var attended = Attend([.. qkv.Select(r => r[..hidden])], [.. qkv.Select(r => r[hidden..(2 * hidden)])], [.. qkv.Select(r => r[(2 * hidden)..])], heads, heads, scale, null, null);
            x = [.. x.Select((row, t) => Plus(row, Conv1D(attended[t], p + "attn.c_proj", hidden)))];
            x = [.. x.Select(row => Plus(row, Conv1D(GeluNew(Conv1D(LayerNorm(row, p + "ln_2"), p + "mlp.c_fc", 4 * hidden)), p + "mlp.c_proj", hidden)))];
        }
        return [.. x.Select(row => LayerNorm(row, "transformer.ln_f"))];
    }

    IEnumerable<(string, int[])> Gpt2Shapes()
    {
        var hidden = Number("n_embd");
        yield return ("transformer.wte.weight", [Number("vocab_size"), hidden]);
        yield return ("transformer.wpe.weight", [Number("n_positions"), hidden]);
        for (var layer = 0; layer < Number("n_layer"); layer++)
        {
            var p = $"transformer.h.{layer}.";
            foreach (var (name, from, to) in new[] { ("attn.c_attn", hidden, 3 * hidden), ("attn.c_proj", hidden, hidden), ("mlp.c_fc", hidden, 4 * hidden), ("mlp.c_proj", 4 * hidden, hidden) })
            {
                yield return (p + name + ".weight", [from, to]);
                yield return (p + name + ".bias", [to]);
            }
            foreach (var norm in Both(p + "ln_1", hidden).Concat(Both(p + "ln_2", hidden))) yield return norm;
        }
        foreach (var norm in Both("transformer.ln_f", hidden)) yield return norm;
    }

    double[][] Opt(int[] ids)
    {
        var (hidden, heads) = (Number("hidden_size"), Number("num_attention_heads"));
        var before = Flag("do_layer_norm_before", true);
        var x = ids.Select((id, t) => Plus(Row("model.decoder.embed_tokens.weight", id, hidden), Row("model.decoder.embed_positions.weight", t + 2, hidden))).ToArray();
        for (var layer = 0; layer < Number("num_hidden_layers"); layer++)
        {
            var p = $"model.decoder.layers.{layer}.";
            var input = before ? [.. x.Select(row => LayerNorm(row, p + "self_attn_layer_norm"))] : x;
            double[][] Project(string name) => [.. input.Select(row => Linear(row, p + "self_attn." + name, hidden))];
            var attended = Attend(Project("q_proj"), Project("k_proj"), Project("v_proj"), heads, heads, 1 / Math.Sqrt(hidden / heads), null, null);
            x = [.. x.Select((row, t) => Plus(row, Linear(attended[t], p + "self_attn.out_proj", hidden)))];
            if (!before) x = [.. x.Select(row => LayerNorm(row, p + "self_attn_layer_norm"))];
            x = [.. x.Select(row => Plus(row, Linear(Relu(Linear(before ? LayerNorm(row, p + "final_layer_norm") : row, p + "fc1", Number("ffn_dim"))), p + "fc2", hidden)))];
            if (!before) x = [.. x.Select(row => LayerNorm(row, p + "final_layer_norm"))];
        }
        return before && !Flag("_remove_final_layer_norm", false) ? [.. x.Select(row => LayerNorm(row, "model.decoder.final_layer_norm"))] : x;
    }

    IEnumerable<(string, int[])> OptShapes()
    {
        var (hidden, inner) = (Number("hidden_size"), Number("ffn_dim"));
        var affine = Flag("layer_norm_elementwise_affine", true);
        yield return ("model.decoder.embed_tokens.weight", [Number("vocab_size"), hidden]);
        yield return ("model.decoder.embed_positions.weight", [Number("max_position_embeddings") + 2, hidden]);
        for (var layer = 0; layer < Number("num_hidden_layers"); layer++)
        {
            var p = $"model.decoder.layers.{layer}.";
            foreach (var (name, from, to) in new[] { ("self_attn.q_proj", hidden, hidden), ("self_attn.k_proj", hidden, hidden), ("self_attn.v_proj", hidden, hidden), ("self_attn.out_proj", hidden, hidden), ("fc1", hidden, inner), ("fc2", inner, hidden) })
            {
                yield return (p + name + ".weight", [to, from]);
                yield return (p + name + ".bias", [to]);
            }
            if (!affine) continue;
            foreach (var norm in Both(p + "self_attn_layer_norm", hidden).Concat(Both(p + "final_layer_norm", hidden))) yield return norm;
        }
        if (affine && Flag("do_layer_norm_before", true) && !Flag("_remove_final_layer_norm", false))
            foreach (var norm in Both("model.decoder.final_layer_norm", hidden)) yield return norm;
    }

    double[][] Bloom(int[] ids)
    {
        var (hidden, heads) = (Number("hidden_size"), Number("n_head"));
        var size = hidden / heads;
        var normed = Flag("apply_residual_connection_post_layernorm", false);
        // For a power of two of heads.
        var slopes = Enumerable.Range(1, heads).Select(i => Math.Pow(2, -8.0 * i / heads)).ToArray();
        var x = ids.Select(id => LayerNorm(Row("transformer.word_embeddings.weight", id, hidden), "transformer.word_embeddings_layernorm")).ToArray();
        for (var layer = 0; layer < Number("n_layer"); layer++)
        {
            var p = $"transformer.h.{layer}.";
            var output = x.Select(row => LayerNorm(row, p + "input_layernorm")).ToArray();
            var fused = output.Select(row => Linear(row, p + "self_attention.query_key_value", 3 * hidden)).ToArray();
            double[][] Part(int part) => [.. fused.Select(row => Enumerable.Range(0, heads).SelectMany(h => row[((3 * h + part) * size)..((3 * h + part + 1) * size)]).ToArray())];
            var attended = Attend(Part(0), Part(1), Part(2), heads, heads, 1 / Math.Sqrt(size), null, slopes);
            var residual = normed ? output : x;
            x = [.. residual.Select((row, t) => Plus(row, Linear(attended[t], p + "self_attention.dense", hidden)))];
            output = [.. x.Select(row => LayerNorm(row, p + "post_attention_layernorm"))];
            residual = normed ? output : x;
            x = [.. residual.Select((row, t) => Plus(row, Linear(GeluNew(Linear(output[t], p + "mlp.dense_h_to_4h", 4 * hidden)), p + "mlp.dense_4h_to_h", hidden)))];
        }
        return [.. x.Select(row => LayerNorm(row, "transformer.ln_f"))];
    }

    IEnumerable<(string, int[])> BloomShapes()
    {
        var hidden = Number("hidden_size");
        yield return ("transformer.word_embeddings.weight", [Number("vocab_size"), hidden]);
        foreach (var norm in Both("transformer.word_embeddings_layernorm", hidden)) yield return norm;
        for (var layer = 0; layer < Number("n_layer"); layer++)
        {
            var p = $"transformer.h.{layer}.";
            foreach (var (name, from, to) in new[] { ("self_attention.query_key_value", hidden, 3 * hidden), ("self_attention.dense", hidden, hidden), ("mlp.dense_h_to_4h", hidden, 4 * hidden), ("mlp.dense_4h_to_h", 4 * hidden, hidden) })
            {
                yield return (p + name + ".weight", [to, from]);
                yield return (p + name + ".bias", [to]);
            }
            foreach (var norm in Both(p + "input_layernorm", hidden).Concat(Both(p + "post_attention_layernorm", hidden))) yield return norm;
        }
        foreach (var norm in Both("transformer.ln_f", hidden)) yield return norm;
    }

    double[][] Llama(int[] ids)
    {
        var (hidden, heads, keyHeads, size) = (Number("hidden_size"), Number("num_attention_heads"), Number("num_key_value_heads"), Number("head_dim"));
        var (frequencies, magnitude) = Frequencies(ids.Length);
        double[] Rotated(double[] row, int position)
        {
            var turned = (double[])row.Clone();
            for (var i = 0; i < row.Length; i++)
            {
                var (at, from) = (i % size, i - i % size);
                var angle = position * frequencies[at % (size / 2)];
                var partner = at < size / 2 ? -row[from + at + size / 2] : row[from + at - size / 2];
                turned[i] = row[i] * Math.Cos(angle) * magnitude + partner * Math.Sin(angle) * magnitude;
            }
            return turned;
        }
        var x = ids.Select(id => Row("model.embed_tokens.weight", id, hidden)).ToArray();
        for (var layer = 0; layer < Number("num_hidden_layers"); layer++)
        {
            var p = $"model.layers.{layer}.";
            var input = x.Select(row => RmsNorm(row, p + "input_layernorm")).ToArray();
            double[][] Project(string name, int count, string? norm)
            {
                var rows = input.Select(row => Linear(row, p + "self_attn." + name, count * size));
                if (norm is not null) rows = rows.Select(row => row.Chunk(size).SelectMany(head => RmsNorm(head, p + "self_attn." + norm)).ToArray());
                return [.. rows];
            }
            var qwen3 = type == "qwen3";
            double[][] query = [.. Project("q_proj", heads, qwen3 ? "q_norm" : null).Select(Rotated)], key = [.. Project("k_proj", keyHeads, qwen3 ? "k_norm" : null).Select(Rotated)];
            var attended = Attend(query, key, Project("v_proj", keyHeads, null), heads, keyHeads, 1 / Math.Sqrt(size), Window(layer), null);
            x = [.. x.Select((row, t) => Plus(row, Linear(attended[t], p + "self_attn.o_proj", hidden)))];
            x = [.. x.Select(row =>
            {
                var normed = RmsNorm(row, p + "post_attention_layernorm");
                var gate = Linear(normed, p + "mlp.gate_proj", Number("intermediate_size"));
                var up = Linear(normed, p + "mlp.up_proj", Number("intermediate_size"));
                return Plus(row, Linear([.. gate.Select((g, i) => g / (1 + Math.Exp(-g)) * up[i])], p + "mlp.down_proj", hidden));
            })];
        }
        return [.. x.Select(row => RmsNorm(row, "model.norm"))];
    }

    /// <summary>Qwen2Config, Qwen3Config and MinistralConfig: layer_types, or what the older fields mean.</summary>
    int? Window(int layer)
    {
        var window = type == "mistral" || Flag("use_sliding_window", false) ? (int?)config["sliding_window"] : null;
        if (config["layer_types"] is JsonArray types) return (string)types[layer]! == "sliding_attention" ? window : null;
        return type == "mistral" || layer >= Number("max_window_layers", 28) ? window : null;
    }

    /// <summary>_compute_longrope_parameters of modeling_rope_utils; without scaling, _compute_default_rope_parameters.</summary>
    (double[] Frequencies, double Magnitude) Frequencies(int length)
    {
        var size = Number("head_dim");
        var rope = config["rope_parameters"] as JsonObject ?? config["rope_scaling"] as JsonObject;
        var theta = (double?)(rope?["rope_theta"] ?? config["rope_theta"]) ?? 10000;
        var plain = Enumerable.Range(0, size / 2).Select(i => Math.Pow(theta, 2.0 * i / size)).ToArray();
        if ((string?)(rope?["rope_type"] ?? rope?["type"]) is not ("longrope" or "su")) return ([.. plain.Select(f => 1 / f)], 1);
        var original = (double)(config["original_max_position_embeddings"] ?? rope!["original_max_position_embeddings"])!;
        var factor = (double?)rope!["factor"] ?? Number("max_position_embeddings") / original;
        var attention = (double?)rope["attention_factor"] ?? (factor <= 1 ? 1 : Math.Sqrt(1 + Math.Log(factor) / Math.Log(original)));
        var factors = rope[length > original ? "long_factor" : "short_factor"]!.AsArray();
        return ([.. plain.Select((f, i) => 1 / ((double)factors[i]! * f))], attention);
    }

    IEnumerable<(string, int[])> LlamaShapes()
    {
        var (hidden, inner, size) = (Number("hidden_size"), Number("intermediate_size"), Number("head_dim"));
        var (queries, keys) = (Number("num_attention_heads") * size, Number("num_key_value_heads") * size);
        yield return ("model.embed_tokens.weight", [Number("vocab_size"), hidden]);
        for (var layer = 0; layer < Number("num_hidden_layers"); layer++)
        {
            var p = $"model.layers.{layer}.";
            foreach (var (name, from, to) in new[] { ("q_proj", hidden, queries), ("k_proj", hidden, keys), ("v_proj", hidden, keys), ("o_proj", queries, hidden) })
            {
                yield return ($"{p}self_attn.{name}.weight", [to, from]);
                if (type == "qwen2" && name != "o_proj") yield return ($"{p}self_attn.{name}.bias", [to]);
            }
            if (type == "qwen3")
            {
                yield return (p + "self_attn.q_norm.weight", [size]);
                yield return (p + "self_attn.k_norm.weight", [size]);
            }
            yield return (p + "mlp.gate_proj.weight", [inner, hidden]);
            yield return (p + "mlp.up_proj.weight", [inner, hidden]);
            yield return (p + "mlp.down_proj.weight", [hidden, inner]);
            yield return (p + "input_layernorm.weight", [hidden]);
            yield return (p + "post_attention_layernorm.weight", [hidden]);
        }
        yield return ("model.norm.weight", [hidden]);
        yield return ("lm_head.weight", [Number("vocab_size"), hidden]);
    }

    /// <summary>softmax(scale·q·k + slope·position of k)·v over the keys from a window's first to the query itself.</summary>
    static double[][] Attend(double[][] query, double[][] key, double[][] value, int heads, int keyHeads, double scale, int? window, double[]? slopes)
    {
        var size = query[0].Length / heads;
        return [.. query.Select((q, t) =>
        {
            var result = new double[heads * size];
            var first = window is { } w ? Math.Max(0, t - w + 1) : 0;
            for (var h = 0; h < heads; h++)
            {
                var (qh, kh) = (h * size, h / (heads / keyHeads) * size);
                var scores = Enumerable.Range(first, t - first + 1)
                    .Select(s => scale * Enumerable.Range(0, size).Sum(d => q[qh + d] * key[s][kh + d]) + (slopes is null ? 0 : slopes[h] * s)).ToArray();
                var largest = scores.Max();
                var sum = scores.Sum(s => Math.Exp(s - largest));
                for (var s = first; s <= t; s++)
                    for (var d = 0; d < size; d++) result[qh + d] += Math.Exp(scores[s - first] - largest) / sum * value[s][kh + d];
            }
            return result;
        })];
    }

    double[] LayerNorm(double[] x, string name)
    {
        var mean = x.Average();
        var deviation = Math.Sqrt(x.Average(v => (v - mean) * (v - mean)) + 1e-5);
        return [.. x.Select((v, i) => (v - mean) / deviation * (weights.TryGetValue(name + ".weight", out var w) ? w[i] : 1) + (weights.TryGetValue(name + ".bias", out var b) ? b[i] : 0))];
    }

    double[] RmsNorm(double[] x, string name)
    {
        var scale = 1 / Math.Sqrt(x.Average(v => v * v) + 1e-6);
        return [.. x.Select((v, i) => v * scale * weights[name + ".weight"][i])];
    }

    double[] Linear(double[] x, string name, int to) => Affine(x, name, to, (o, i) => weights[name + ".weight"][o * x.Length + i]);

    double[] Conv1D(double[] x, string name, int to) => Affine(x, name, to, (o, i) => weights[name + ".weight"][i * to + o]);

    double[] Affine(double[] x, string name, int to, Func<int, int, double> weight) =>
        [.. Enumerable.Range(0, to).Select(o => x.Select((v, i) => v * weight(o, i)).Sum() + (weights.TryGetValue(name + ".bias", out var b) ? b[o] : 0))];

    double[] Row(string name, int row, int width) => weights[name][(row * width)..((row + 1) * width)];

    static double[] Plus(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    static double[] Relu(double[] x) => [.. x.Select(v => Math.Max(0, v))];

    static double[] GeluNew(double[] x) => [.. x.Select(v => 0.5 * v * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v))))];

    static IEnumerable<(string, int[])> Both(string norm, int width) => [(norm + ".weight", [width]), (norm + ".bias", [width])];

    int Number(string field, int missing = -1) => (int?)config[field] ?? missing;

    bool Flag(string field, bool missing) => (bool?)config[field] ?? missing;
}
