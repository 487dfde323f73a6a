using System.Text.Json.Nodes;
using Labeling.Training.Checkpoints;
using Labeling.Training.Data;
using Labeling.Training.Generation;
using Labeling.Training.Models;
using Labeling.Training.Tests.Generation;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Tests.Models;

/// <summary>Rarer settings of the families' config.json, each on a small random checkpoint and against <see cref="PlainModel"/>.</summary>
public sealed class ModelVariantTests : IDisposable
{
    const string Gpt2 = """ "model_type":"gpt2","vocab_size":23,"n_embd":16,"n_head":2,"n_layer":3,"n_positions":32""";
    const string Opt = """ "model_type":"opt","vocab_size":23,"hidden_size":16,"word_embed_proj_dim":16,"num_attention_heads":2,"num_hidden_layers":2,"ffn_dim":20,"max_position_embeddings":32""";
    const string Bloom = """ "model_type":"bloom","vocab_size":23,"hidden_size":16,"n_head":2,"n_layer":2,"seq_length":32""";
    const string Sizes = """ "vocab_size":23,"hidden_size":12,"num_attention_heads":2,"num_key_value_heads":1,"head_dim":8,"num_hidden_layers":3,"intermediate_size":20,"max_position_embeddings":32""";
    const string Factors = """ "short_factor":[1.0,1.1,1.3,2.0],"long_factor":[1.0,2.5,4.0,6.5]""";

    static readonly Dictionary<string, string> Variants = new()
    {
        ["gpt2, scores not scaled"] = Gpt2 + """,  "scale_attn_weights":false""",
        ["gpt2, scores scaled by layer"] = Gpt2 + """, "scale_attn_by_inverse_layer_idx":true,"reorder_and_upcast_attn":true""",
        ["gpt2, scores scaled by layer only"] = Gpt2 + """, "scale_attn_weights":false,"scale_attn_by_inverse_layer_idx":true""",
        ["bloom, norms in the residual stream"] = Bloom + """, "apply_residual_connection_post_layernorm":true""",
        ["opt without final norm"] = Opt + """, "_remove_final_layer_norm":true""",
        ["opt, norms without weights"] = Opt + """, "layer_norm_elementwise_affine":false""",
        ["opt, norms without weights behind"] = Opt + """, "layer_norm_elementwise_affine":false,"do_layer_norm_before":false""",
        ["qwen2, window from a layer on"] = $""" "model_type":"qwen2",{Sizes},"use_sliding_window":true,"sliding_window":3,"max_window_layers":2""",
        ["qwen3, window in layer types"] = $""" "model_type":"qwen3",{Sizes},"use_sliding_window":true,"sliding_window":4,"max_window_layers":9,"layer_types":["sliding_attention","full_attention","sliding_attention"]""",
        ["mistral, window in layer types"] = $""" "model_type":"mistral",{Sizes},"sliding_window":3,"layer_types":["full_attention","sliding_attention","full_attention"]""",
        ["llama, longrope as Phi-3 has it"] = $$""" "model_type":"llama",{{Sizes}},"original_max_position_embeddings":10,"rope_scaling":{"type":"longrope",{{Factors}}}""",
        ["mistral, longrope by its old name"] = $$""" "model_type":"mistral",{{Sizes}},"sliding_window":null,"rope_theta":500.0,"rope_scaling":{"type":"su","factor":5.0,"original_max_position_embeddings":10,{{Factors}}}""",
        ["qwen3, longrope in rope_parameters"] = $$""" "model_type":"qwen3",{{Sizes}},"rope_parameters":{"rope_type":"longrope","rope_theta":2000.0,"attention_factor":1.4,"original_max_position_embeddings":10,{{Factors}}}""",
        ["qwen2, longrope and windows"] = $$""" "model_type":"qwen2",{{Sizes}},"use_sliding_window":true,"sliding_window":5,"max_window_layers":1,"rope_scaling":{"rope_type":"longrope","factor":3.0,"original_max_position_embeddings":10,{{Factors}}}""",
    };

    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("variant-");
    readonly DisposeScope scope = NewDisposeScope();

    public static TheoryData<string> All => [.. Variants.Keys];

    public void Dispose()
    {
        scope.Dispose();
        folder.Delete(recursive: true);
    }

    /// <summary>Writes the checkpoint and reads it back as it would be read from anywhere.</summary>
    (CausalLm Model, PlainModel Plain) Make(string variant)
    {
        var config = (JsonObject)JsonNode.Parse("{" + Variants[variant] + "}")!;
        File.WriteAllText(Path.Combine(folder.FullName, "config.json"), config.ToJsonString());
        var weights = PlainModel.Random(config, seed: 7);
        SafetensorsFile.Write(Path.Combine(folder.FullName, "model.safetensors"), weights);
        var model = CausalLm.Load(folder.FullName);
        Assert.Equal(weights.Keys.Order(StringComparer.Ordinal), model.Parameters.Keys.Order(StringComparer.Ordinal));
        return (model, PlainModel.Of(config, weights));
    }

    static int[] Text(int length, int seed) => [.. Enumerable.Range(0, length).Select(i => (i * i * 5 + i * 3 + seed * 7) % 23)];

    static Tensor Ids(int[] text) => tensor(text.Select(i => (long)i).ToArray(), [1, text.Length]);

    static void Close(double[][] expected, Tensor actual, string what)
    {
        for (var t = 0; t < expected.Length; t++)
            for (var i = 0; i < expected[t].Length; i++) GoldenFolder.Close(expected[t][i], actual[t, i].ToDouble(), 1e-4, 1e-4, $"{what}, position {t}, {i}");
    }

    [Theory, MemberData(nameof(All))]
    public void Logits_and_gradients_are_those_of_the_formulas(string variant)
    {
        var (model, plain) = Make(variant);
        using var owned = model;
        foreach (var length in new[] { 9, 10, 11, 20 })
        {
            var text = Text(length, length);
            var logits = model.Logits(model.Hidden(Ids(text)))[0];
            Close(plain.Logits(text), logits, $"{variant}, {length} tokens");
            foreach (var parameter in model.Parameters.Values) parameter.grad?.zero_();
            F.cross_entropy(logits.narrow(0, 0, length - 1), Ids(text)[0].narrow(0, 1, length - 1)).backward();
            if (length is 9 or 11) continue;
            foreach (var (name, parameter) in model.Parameters)
            {
                var gradient = parameter.grad!.reshape(-1);
                var largest = (int)gradient.abs().argmax().ToInt64();
                ref var entry = ref plain.Entry(name, largest);
                var (kept, step) = (entry, 1e-4);
                entry = kept + step;
                var above = plain.Loss(text);
                entry = kept - step;
                var below = plain.Loss(text);
                entry = kept;
                GoldenFolder.Close((above - below) / (2 * step), gradient[largest].ToDouble(), 2e-5, 1e-3, $"{variant}, {length} tokens, gradient of {name}");
            }
        }
    }

    /// <summary>Rows of different lengths side by side in every way: each sees itself alone, also where its length decides about its angles.</summary>
    [Theory, MemberData(nameof(All))]
    public void A_row_does_not_depend_on_its_neighbours(string variant)
    {
        var (model, plain) = Make(variant);
        using var owned = model;
        using var noGrad = no_grad();
        var texts = new[] { Text(6, 1), Text(17, 2), Text(10, 3), Text(11, 4) };
        var expected = texts.Select(plain.Logits).ToList();
        var right = model.Logits(model.Hidden(TokenBatch.Ids(texts, 0), TokenBatch.Mask(texts)));
        var left = model.Logits(model.Hidden(
            TokenBatch.Ids([.. texts.Select(t => (int[])[.. new int[18 - t.Length], .. t])], 0),
            tensor(texts.SelectMany(t => Enumerable.Range(0, 18).Select(i => i >= 18 - t.Length)).ToArray(), [texts.Length, 18])));
        var sequences = texts.Select(t => new Sequence([.. t, 0], 1)).ToList();
        var collated = model.Logits(TokenBatch.Hidden(model, sequences, 0));
        var packed = model.Logits(Packing.Hidden(model, [[sequences[0], sequences[1]], [sequences[2], sequences[3]]], 0));
        for (int r = 0, from = 0; r < texts.Length; from += texts[r++].Length)
        {
            var length = texts[r].Length;
            Close(expected[r], right[r], $"{variant}, row {r} padded on the right");
            Close(expected[r], left[r].narrow(0, 18 - length, length), $"{variant}, row {r} padded on the left");
            Close(expected[r], collated.narrow(0, from, length), $"{variant}, row {r} collated");
            Close(expected[r], packed.narrow(0, from, length), $"{variant}, row {r} packed");
        }
        var wide = TokenBatch.Ids([texts[0], Text(16, 5)], 0);
        Close(expected[0], model.Logits(model.Hidden(wide, tensor(Enumerable.Range(0, 32).Select(i => i < 6).ToArray(), [2, 16])))[0], $"{variant}, padding longer than any text");
    }

    /// <summary>Every token that is chosen is the likeliest after a pass over all before it, in both generators, for prompts of every kind of length.</summary>
    [Theory, MemberData(nameof(All))]
    public void Generation_is_a_full_pass_for_every_token(string variant)
    {
        const int New = 12;
        var (model, plain) = Make(variant);
        using var owned = model;
        var prompts = new[] { Text(1, 1), Text(4, 2), Text(9, 3), Text(10, 4), Text(11, 5), Text(15, 6), Text(7, 7) };
        prompts[6] = prompts[1];
        var greedy = new SamplingOptions(Temperature: 0);
        var passes = new Dictionary<string, double[]>();
        // By steps alone, with prompts read by libtorch, with fewer places than rows; then padded on the left.
        foreach (var (how, chosen) in new[] { ("one by one", prompts[..1]), ("some", prompts[1..3]), ("all", prompts) })
            foreach (var size in new[] { 2, 64 })
                Check($"{how}, {size} at once", chosen, BatchGenerator.Generate(model, chosen, [.. chosen.Select((_, i) => (ulong)i)], New, greedy, [], size));
        using var noGrad = no_grad();
        var rows = prompts.Select(p => new BatchGenerator.Row(p, 0, p.Length == 9 ? 4 : New)).ToList();
        PaddedGenerator.Run(model, rows, greedy, [], 4, TestContext.Current.CancellationToken);
        Check("padded", prompts, [.. rows.Select(r => new Generated([.. r.Tokens], [.. r.LogProbabilities], r.Finished!.Value))]);

        void Check(string how, int[][] asked, Generated[] answers)
        {
            foreach (var (prompt, answer) in asked.Zip(answers))
            {
                var text = prompt.ToList();
                foreach (var (token, logProbability) in answer.Tokens.Zip(answer.LogProbabilities))
                {
                    var key = string.Join(' ', text);
                    if (!passes.TryGetValue(key, out var logits)) passes[key] = logits = plain.Logits([.. text])[^1];
                    GoldenFolder.Close(logits.Max(), logits[token], 1e-4, 0, $"{variant}, {how}, token {text.Count} after a prompt of {prompt.Length} is the likeliest");
                    GoldenFolder.Close(PlainModel.LogProbability(logits, token), logProbability, 1e-4, 1e-4, $"{variant}, {how}, log-probability of token {text.Count} after a prompt of {prompt.Length}");
                    text.Add(token);
                }
                Assert.True(answer.Tokens.Length is New or 4);
            }
        }
    }

    [Theory, MemberData(nameof(All))]
    public void An_adapter_is_decoded_merged_and_saved_as_in_every_model(string variant)
    {
        var (model, plain) = Make(variant);
        using var owned = model;
        using var noGrad = no_grad();
        var text = Text(20, 8);
        model.AddLora(new LoraOptions(2), seed: 5);
        Close(plain.Logits(text), model.Logits(model.Hidden(Ids(text)))[0], variant + " with a new adapter");
        using var generator = new Generator(6);
        foreach (var (name, matrix) in model.Trainable) if (name.EndsWith("lora_B.weight", StringComparison.Ordinal)) matrix.normal_(0, 0.1, generator);
        var adapted = model.Logits(model.Hidden(Ids(text)))[0];
        if (!model.Config.AnglesFollowLength) DecodeStepTests.Check(variant + " with an adapter", model);
        var output = Path.Combine(folder.FullName, "output");
        model.Save(output);
        using var merged = CausalLm.Load(output);
        Assert.True(merged.Logits(merged.Hidden(Ids(text)))[0].allclose(adapted, 1e-4, 1e-4));
        // The merged weights are what the formulas say with W + scale·B·A.
        var config = (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(output, "config.json")))!;
        Close(PlainModel.Of(config, merged.Parameters).Logits(text), adapted, variant + " merged");
    }

    [Theory, MemberData(nameof(All))]
    public void Rewards_and_values_are_the_hidden_states_times_the_head(string variant)
    {
        var (model, plain) = Make(variant);
        using var owned = model;
        using var noGrad = no_grad();
        using var made = RewardModel.From(model, seed: 3);
        var output = Path.Combine(folder.FullName, "reward");
        made.Save(output);
        using var reward = RewardModel.Load(output);
        using var value = ValueModel.From(reward);
        var head = reward.Parameters["score.weight"].to_type(ScalarType.Float64).data<double>().ToArray();
        var texts = new[] { Text(5, 1), Text(14, 2) };
        var expected = texts.Select(t => plain.Hidden(t).Select(x => x.Zip(head, (a, b) => a * b).Sum()).ToArray()).ToList();
        var rewards = reward.Rewards(TokenBatch.Ids(texts, 0), TokenBatch.Mask(texts));
        var sequences = texts.Select(t => new Sequence([.. t, 0], 1)).ToList();
        var values = Labeling.Training.Ppo.Rollouts.TokenValues(value, sequences, 0).data<float>().ToArray();
        for (var r = 0; r < 2; r++) GoldenFolder.Close(expected[r][^1], rewards[r].ToDouble(), 1e-4, 1e-4, $"{variant}, reward {r}");
        foreach (var (wanted, got) in expected.SelectMany(e => e).Zip(values)) GoldenFolder.Close(wanted, got, 1e-4, 1e-4, variant + ", value");
    }

    /// <summary>What was read is written again, and so is what was never read from a file.</summary>
    [Theory, MemberData(nameof(All))]
    public void The_config_survives_saving_and_loading(string variant)
    {
        var (model, _) = Make(variant);
        using var owned = model;
        var output = Path.Combine(folder.FullName, "output");
        model.Save(output);
        var source = JsonNode.Parse(File.ReadAllText(Path.Combine(folder.FullName, "config.json")))!.AsObject();
        var saved = JsonNode.Parse(File.ReadAllText(Path.Combine(output, "config.json")))!.AsObject();
        Assert.All(source, field => Assert.True(JsonNode.DeepEquals(field.Value, saved[field.Key]), field.Key));

        var config = model.Config with { Source = null };
        using var fresh = CausalLm.New(config, seed: 1);
        fresh.Save(output);
        using var read = CausalLm.Load(output);
        Assert.Equivalent(config, read.Config with { Source = null }, strict: true);
        var ids = Ids(Text(20, 3));
        Assert.True(fresh.Logits(fresh.Hidden(ids)).equal(read.Logits(read.Hidden(ids))).all().ToBoolean());
    }
}
