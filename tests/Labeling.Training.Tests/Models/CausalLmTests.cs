using System.Text.Json.Nodes;
using Labeling.Training.Checkpoints;
using Labeling.Training.Models;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Tests.Models;

public sealed class CausalLmTests : IDisposable
{
    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("labeling-test-");
    readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Delete(recursive: true);
    }

    static ModelConfig Small => ModelConfig.Gpt2(50, 32, 2, 4, 64, eosTokenId: 3, padTokenId: 1);

    static Tensor Ids(int batch, int time, int seed = 1) => randint(2, 50, [batch, time], dtype: ScalarType.Int64, generator: new Generator((ulong)seed));

    [Fact]
    public void A_new_model_has_gpt2s_weights()
    {
        using var model = CausalLm.New(ModelConfig.Gpt2(1000, 128, 8, 4, 64), seed: 5);
        var p = model.Parameters;
        Assert.Equal(0.02, p["transformer.wte.weight"].std().ToDouble(), 2e-4);
        Assert.Equal(0.02, p["transformer.h.3.attn.c_attn.weight"].std().ToDouble(), 4e-4);
        Assert.Equal(0.02 / Math.Sqrt(16), p["transformer.h.3.mlp.c_proj.weight"].std().ToDouble(), 1e-4);
        Assert.All(p.Where(x => x.Key.EndsWith("bias", StringComparison.Ordinal)), x => Assert.Equal(0, x.Value.abs().max().ToDouble()));
        Assert.Equal(1, p["transformer.ln_f.weight"].min().ToDouble());
        Assert.DoesNotContain("lm_head.weight", p.Keys);
        // 12 d² + 13 d per block, two embeddings, the last norm.
        Assert.Equal(8 * (12 * 128 * 128 + 13 * 128) + (1000 + 64) * 128 + 2 * 128, model.ParameterCount);

        using var same = CausalLm.New(ModelConfig.Gpt2(1000, 128, 8, 4, 64), seed: 5);
        using var other = CausalLm.New(ModelConfig.Gpt2(1000, 128, 8, 4, 64), seed: 6);
        Assert.True(p["transformer.wte.weight"].equal(same.Parameters["transformer.wte.weight"]).all().ToBoolean());
        Assert.False(p["transformer.wte.weight"].equal(other.Parameters["transformer.wte.weight"]).all().ToBoolean());
    }

    [Fact]
    public void A_model_that_knows_nothing_has_the_loss_of_guessing()
    {
        using var model = CausalLm.New(Small, 1);
        using (no_grad()) model.Parameters["transformer.wte.weight"].zero_();
        var logits = model.Logits(model.Hidden(Ids(2, 9)));
        Assert.Equal(Math.Log(50), F.cross_entropy(logits.reshape(-1, 50), Ids(2, 9, 2).reshape(-1)).ToDouble(), 1e-6);
    }

    [Fact]
    public void Cached_decoding_equals_the_full_pass_for_every_family()
    {
        using var noGrad = no_grad();
        foreach (var path in GoldenFolder.Models("causal-lm"))
        {
            using var model = CausalLm.Load(path);
            var ids = randint(2, model.Config.VocabularySize, [3, 14], dtype: ScalarType.Int64, generator: new Generator(4));
            var mask = ones(3, 14, ScalarType.Int64);
            mask[1, TensorIndex.Slice(0, 4)] = 0;
            mask[2, TensorIndex.Slice(0, 1)] = 0;
            var full = model.Logits(model.Hidden(ids, mask));
            using var cache = new KeyValueCache(model.Config, 3, 14);
            var parts = new List<Tensor>();
            // A prefill of 6, a chunk of 3, then one by one.
            foreach (var (from, length) in new[] { (0L, 6L), (6, 3), (9, 1), (10, 1), (11, 1), (12, 1), (13, 1) })
                parts.Add(model.Logits(model.Hidden(ids.narrow(1, from, length), from == 0 ? mask.narrow(1, 0, 6) : null, cache)));
            var difference = (cat(parts, 1) - full).abs().amax([2]) * mask;
            Assert.True(difference.max().ToDouble() < 1e-4, $"{Path.GetFileName(path)}: {difference.max().ToDouble()}");
        }
    }

    [Fact]
    public void In_bfloat16_too_a_cached_pass_equals_the_full_one_within_its_rounding()
    {
        using var noGrad = no_grad();
        foreach (var path in GoldenFolder.Models("causal-lm"))
        {
            using var model = CausalLm.Load(path);
            model.ComputeType = ScalarType.BFloat16;
            var ids = randint(2, model.Config.VocabularySize, [3, 14], dtype: ScalarType.Int64, generator: new Generator(4));
            var full = model.Logits(model.Hidden(ids));
            using var cache = new KeyValueCache(model.Config, 3, 14);
            var parts = new[] { (0L, 6L), (6, 7), (13, 1) }.Select(p => model.Logits(model.Hidden(ids.narrow(1, p.Item1, p.Item2), null, cache))).ToList();
            var difference = ((cat(parts, 1) - full).abs().mean() / full.abs().mean()).item<float>();
            Assert.True(difference < 0.02, $"{Path.GetFileName(path)}: {difference}");
        }
    }

    [Fact]
    public void In_bfloat16_every_family_has_the_loss_and_gradients_of_float32_within_its_rounding()
    {
        foreach (var path in GoldenFolder.Models("causal-lm"))
        {
            using var model = CausalLm.Load(path);
            var ids = randint(2, model.Config.VocabularySize, [4, 15], dtype: ScalarType.Int64, generator: new Generator(4));
            var results = new Dictionary<ScalarType, (double Loss, Dictionary<string, Tensor> Gradients)>();
            foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
            {
                model.ComputeType = type;
                var hidden = model.Hidden(ids);
                Assert.Equal(type, hidden.dtype);
                var logits = model.Logits(hidden.narrow(1, 0, 14));
                Assert.Equal(ScalarType.Float32, logits.dtype);
                var loss = F.cross_entropy(logits.reshape(-1, model.Config.VocabularySize), ids.narrow(1, 1, 14).reshape(-1));
                loss.backward();
                results[type] = (loss.ToDouble(), model.Parameters.ToDictionary(p => p.Key, p => p.Value.grad!.clone()));
                foreach (var parameter in model.Parameters.Values) parameter.grad = null;
            }
            var (full, half) = (results[ScalarType.Float32], results[ScalarType.BFloat16]);
            Assert.Equal(full.Loss, half.Loss, 0.03 * full.Loss);
            Assert.NotEqual(full.Loss, half.Loss);
            foreach (var (name, gradient) in full.Gradients)
            {
                Assert.Equal(ScalarType.Float32, half.Gradients[name].dtype);
                // Key biases have no gradient but rounding.
                if (gradient.norm().ToDouble() < 1e-3) continue;
                var cosine = F.cosine_similarity(gradient.reshape(1, -1), half.Gradients[name].reshape(1, -1)).ToDouble();
                Assert.True(cosine > 0.97, $"{Path.GetFileName(path)}, {name}: cosine {cosine}");
            }
        }
    }

    [Fact]
    public void Padding_side_and_amount_change_neither_loss_nor_gradients()
    {
        using var model = CausalLm.New(Small, 1);
        var ids = Ids(1, 7);
        (double, Tensor) Run(int left, int right)
        {
            var row = cat([ones(1, left, ScalarType.Int64), ids, ones(1, right, ScalarType.Int64)], 1);
            var mask = cat([zeros(1, left), ones(1, 7), zeros(1, right)], 1);
            var logits = model.Logits(model.Hidden(row, mask).narrow(1, left, 6));
            var loss = F.cross_entropy(logits.reshape(-1, 50), ids.narrow(1, 1, 6).reshape(-1));
            loss.backward();
            var gradient = model.Parameters["transformer.h.0.attn.c_attn.weight"].grad!.clone();
            foreach (var p in model.Parameters.Values) p.grad = null;
            return (loss.ToDouble(), gradient);
        }
        var (loss, gradient) = Run(0, 0);
        foreach (var (left, right) in new[] { (5, 0), (0, 5), (3, 4) })
        {
            var (padded, paddedGradient) = Run(left, right);
            Assert.Equal(loss, padded, 1e-6);
            Assert.True(gradient.allclose(paddedGradient, 1e-4, 1e-6));
        }
    }

    [Theory, MemberData(nameof(GoldenModelTests.LanguageModels), MemberType = typeof(GoldenModelTests))]
    public void Saved_and_loaded_it_is_bit_identical(string source)
    {
        using var model = CausalLm.Load(source);
        model.Save(folder.FullName);
        using var again = CausalLm.Load(folder.FullName);
        Assert.Equal(model.Parameters.Keys, again.Parameters.Keys);
        foreach (var (name, value) in model.Parameters) Assert.True(value.equal(again.Parameters[name]).all().ToBoolean(), name);
        Assert.Equal(model.Config.EosTokenIds, again.Config.EosTokenIds);
        Assert.Equal(model.Config with { Source = null, EosTokenIds = [] }, again.Config with { Source = null, EosTokenIds = [] });
    }

    [Fact]
    public void A_new_model_saves_a_complete_folder()
    {
        var tokenizer = Directory.CreateDirectory(Path.Combine(folder.FullName, "tokenizer"));
        File.WriteAllText(Path.Combine(tokenizer.FullName, "tokenizer.json"), "{}");
        File.WriteAllText(Path.Combine(tokenizer.FullName, "notes.txt"), "not part of a tokenizer");
        var output = Path.Combine(folder.FullName, "output");
        using var model = CausalLm.New(Small with { EosTokenIds = [3, 4] }, 1);
        model.Save(output, tokenizer.FullName, WeightType.BFloat16);
        Assert.Equal(["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"], Directory.EnumerateFiles(output).Select(Path.GetFileName).Order());
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(output, "config.json")))!;
        Assert.Equal("GPT2LMHeadModel", config["architectures"]![0]!.GetValue<string>());
        Assert.Equal("bfloat16", config["torch_dtype"]!.GetValue<string>());
        Assert.Equal([3, 4], config["eos_token_id"]!.AsArray().Select(n => n!.GetValue<int>()));
        using var loaded = CausalLm.Load(output);
        Assert.Equal(1, loaded.Config.PadTokenId);
        foreach (var (name, value) in model.Parameters) Assert.True(value.to(ScalarType.BFloat16).to(ScalarType.Float32).equal(loaded.Parameters[name]).all().ToBoolean(), name);
    }

    [Fact]
    public void Unusable_folders_are_refused_by_name()
    {
        string Message<T>() where T : Exception => Assert.Throws<T>(() => CausalLm.Load(folder.FullName)).Message;
        Assert.Contains("config.json", Message<ModelConfigException>());
        File.WriteAllText(Path.Combine(folder.FullName, "config.json"), "{\"model_type\":");
        Assert.Contains("damaged", Message<ModelConfigException>());
        File.WriteAllText(Path.Combine(folder.FullName, "config.json"), """{"model_type":"t5"}""");
        Assert.Contains("t5", Message<ModelConfigException>());
        File.WriteAllText(Path.Combine(folder.FullName, "config.json"), """{"model_type":"gpt2","n_embd":30,"n_head":4}""");
        Assert.Contains("multiple of the 4 heads", Message<ModelConfigException>());
        File.WriteAllText(Path.Combine(folder.FullName, "config.json"), """{"model_type":"gpt2","n_embd":32,"n_head":4,"n_layer":1,"n_positions":8,"vocab_size":10}""");
        Assert.Contains("model.safetensors", Message<SafetensorsException>());
        File.WriteAllBytes(Path.Combine(folder.FullName, "pytorch_model.bin"), [0x80, 2]);
        Assert.Contains("pickle", Message<SafetensorsException>());
        SafetensorsFile.Write(Path.Combine(folder.FullName, "model.safetensors"), new Dictionary<string, Tensor> { ["wte.weight"] = zeros(11, 32) });
        Assert.Contains("wte.weight has shape [11, 32], but [10, 32]", Message<SafetensorsException>());
        SafetensorsFile.Write(Path.Combine(folder.FullName, "model.safetensors"), new Dictionary<string, Tensor> { ["wte.weight"] = zeros(10, 32) });
        Assert.Contains("transformer.wpe.weight", Message<SafetensorsException>());
    }

    [Fact]
    public void A_sequence_beyond_the_positions_is_refused()
    {
        using var model = CausalLm.New(Small, 1);
        Assert.Contains("65 tokens", Assert.Throws<ArgumentException>(() => model.Hidden(Ids(1, 65))).Message);
    }
}
