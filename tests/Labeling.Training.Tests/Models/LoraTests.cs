using System.Text.Json.Nodes;
using Labeling.Training.Checkpoints;
using Labeling.Training.Models;
using Labeling.Training.Optim;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Models;

public sealed class LoraTests : IDisposable
{
    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("labeling-test-");
    readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Delete(recursive: true);
    }

    string In(string name) => Path.Combine(folder.FullName, name);

    static Tensor Ids(CausalLm model) => randint(2, model.Config.VocabularySize, [2, 9], dtype: ScalarType.Int64, generator: new Generator(3));

    static Tensor Logits(CausalLm model, Dropout? dropout = null) => model.Logits(model.Hidden(Ids(model), dropout: dropout));

    /// <summary>As if it had been trained: B is no longer zero.</summary>
    static void Fill(CausalLm model)
    {
        using var noGrad = no_grad();
        foreach (var (name, matrix) in model.Trainable.Where(t => t.Key.EndsWith(".lora_B.weight", StringComparison.Ordinal)))
            matrix.normal_(0, 0.1, new Generator((ulong)name.Length));
    }

    /// <summary>W = [1 2; 3 4], A = [1 1], B = [2; 0], alpha 3, x = (1, 2): Wx = (5, 11), Ax = 3, 3·B·3 = (18, 0); gradients of the sum by hand.</summary>
    [Theory, InlineData(false), InlineData(true)]
    public void A_small_example_by_hand(bool transposed)
    {
        var weight = tensor(new float[] { 1, 2, 3, 4 }, [2, 2]);
        var (a, b) = (tensor(new float[] { 1, 1 }, [1, 2], requires_grad: true), tensor(new float[] { 2, 0 }, [2, 1], requires_grad: true));
        var linear = new Linear("m", transposed ? weight.t().contiguous() : weight, null, transposed);
        var layer = new LoraLayer(linear, a, b, new LoraOptions(1, Alpha: 3));
        linear.Lora = layer;
        var y = linear.Apply(tensor(new float[] { 1, 2 }, [1, 2]));
        Assert.Equal([23f, 11f], y.data<float>().ToArray());
        y.sum().backward();
        Assert.Equal([6f, 12f], a.grad!.data<float>().ToArray());
        Assert.Equal([9f, 9f], b.grad!.data<float>().ToArray());
        using var noGrad = no_grad();
        var merged = new Linear("m", linear.Weight + layer.Change(), null, transposed);
        Assert.Equal([23f, 11f], merged.Apply(tensor(new float[] { 1, 2 }, [1, 2])).data<float>().ToArray());
    }

    [Theory, MemberData(nameof(GoldenModelTests.LanguageModels), MemberType = typeof(GoldenModelTests))]
    public void Every_family_merged_is_the_model_with_its_adapter(string source)
    {
        using var model = CausalLm.Load(source);
        using var noGrad = no_grad();
        var before = Logits(model);
        model.AddLora(new LoraOptions(3, Alpha: 6), seed: 5);
        Assert.True(before.equal(Logits(model)).all().ToBoolean(), "a new adapter changes something");
        Fill(model);
        var adapted = Logits(model);
        Assert.True((adapted - before).abs().max().ToDouble() > 1e-2);

        model.Save(In("merged"), source);
        using var merged = CausalLm.Load(In("merged"));
        Assert.True(adapted.allclose(Logits(merged), 1e-4, 1e-4), $"{Path.GetFileName(source)}: {(adapted - Logits(merged)).abs().max().ToDouble()}");

        using var again = CausalLm.Load(source);
        again.LoadLora(Path.Combine(In("merged"), "adapter"));
        Assert.Equal(model.Trainable.Keys.Order(), again.Trainable.Keys.Order());
        foreach (var (name, matrix) in model.Trainable) Assert.True(matrix.equal(again.Trainable[name]).all().ToBoolean(), name);
        Assert.True(adapted.equal(Logits(again)).all().ToBoolean());

        again.MergeLora();
        Assert.Same(again.Parameters, again.Trainable);
        Assert.All(again.Parameters.Values, p => Assert.True(p.requires_grad));
        Assert.True(Logits(merged).equal(Logits(again)).all().ToBoolean());
    }

    [Theory, MemberData(nameof(GoldenModelTests.LanguageModels), MemberType = typeof(GoldenModelTests))]
    public void Only_the_adapter_learns(string source)
    {
        using var model = CausalLm.Load(source);
        var weights = model.Parameters.ToDictionary(p => p.Key, p => p.Value.detach().clone());
        model.AddLora(new LoraOptions(2, Dropout: 0.1), seed: 5);
        using var optimizer = new AdamW(model.Trainable, new AdamWOptions());
        for (var step = 0; step < 2; step++)
        {
            using var dropout = new Dropout(0, step);
            Logits(model, dropout).square().mean().backward();
            Assert.All(model.Parameters.Values, p => Assert.Null(p.grad));
            Assert.All(model.Trainable, p => Assert.NotNull(p.Value.grad));
            // B begins at 0, so in the first step only B has a slope.
            Assert.All(model.Trainable, p => Assert.Equal(step > 0 || p.Key.Contains("lora_B", StringComparison.Ordinal), p.Value.grad!.abs().sum().ToDouble() > 0));
            optimizer.Step(1e-3);
        }
        foreach (var (name, before) in weights) Assert.True(before.equal(model.Parameters[name]).all().ToBoolean(), name);
    }

    [Theory]
    [InlineData("gpt2", "c_attn", true, "base_model.model.transformer.h.0.attn.c_attn")]
    [InlineData("gpt_neox_sequential", "query_key_value", false, "base_model.model.gpt_neox.layers.0.attention.query_key_value")]
    [InlineData("bloom_6heads", "query_key_value", false, "base_model.model.transformer.h.0.self_attention.query_key_value")]
    [InlineData("opt", "q_proj,v_proj", false, "base_model.model.model.decoder.layers.0.self_attn.q_proj")]
    [InlineData("llama_sharded", "q_proj,v_proj", false, "base_model.model.model.layers.0.self_attn.q_proj")]
    [InlineData("qwen3", "q_proj,v_proj", false, "base_model.model.model.layers.0.self_attn.q_proj")]
    public void The_folder_is_pefts(string name, string targets, bool fanInFanOut, string module)
    {
        var source = Path.Combine(GoldenFolder.Beside, "models", name);
        using var model = CausalLm.Load(source);
        model.AddLora(new LoraOptions(4, Alpha: 8, Dropout: 0.05, TargetModules: "default"), seed: 1);
        model.Save(In("out"), source);
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(In("out"), "adapter", "adapter_config.json")))!;
        Assert.Equal(targets.Split(','), config["target_modules"]!.AsArray().Select(t => t!.GetValue<string>()));
        Assert.Equal(fanInFanOut, config["fan_in_fan_out"]!.GetValue<bool>());
        Assert.Equal(("LORA", "CAUSAL_LM", 4, 8.0), (config["peft_type"]!.GetValue<string>(), config["task_type"]!.GetValue<string>(), config["r"]!.GetValue<int>(), config["lora_alpha"]!.GetValue<double>()));
        using var file = SafetensorsFile.Open(Path.Combine(In("out"), "adapter", "adapter_model.safetensors"));
        Assert.Equal(model.Config.Layers * targets.Split(',').Length * 2, file.Entries.Count);
        var outputs = targets.Contains(',', StringComparison.Ordinal) ? model.Config.Heads * model.Config.HeadSize : 3 * model.Config.HiddenSize;
        Assert.Equal([4, model.Config.HiddenSize], file.Entries[module + ".lora_A.weight"].Shape);
        Assert.Equal([outputs, 4], file.Entries[module + ".lora_B.weight"].Shape);
        // PEFT draws A from U(±1/√inputs).
        var a = file.Read(module + ".lora_A.weight");
        Assert.InRange(a.abs().max().ToDouble(), 0.8 / Math.Sqrt(model.Config.HiddenSize), 1 / Math.Sqrt(model.Config.HiddenSize));
    }

    [Fact]
    public void A_reward_models_adapter_has_its_score()
    {
        using var language = CausalLm.New(ModelConfig.Gpt2(50, 32, 2, 4, 64), 1);
        using var model = RewardModel.From(language, 2);
        model.AddLora(new LoraOptions(2), 3);
        var ids = tensor(new long[] { 5, 9, 3, 17 }, [1, 4]);
        using var optimizer = new AdamW(model.Trainable, new AdamWOptions());
        for (var step = 0; step < 3; step++)
        {
            model.Rewards(ids).sum().backward();
            optimizer.Step(1e-2);
        }
        using var noGrad = no_grad();
        model.Save(In("reward"));
        using (var loaded = RewardModel.Load(In("reward"))) Assert.Equal(model.Rewards(ids).ToSingle(), loaded.Rewards(ids).ToSingle(), 1e-4f);
        using var fresh = RewardModel.From(language, 9);
        fresh.LoadLora(Path.Combine(In("reward"), "adapter"));
        Assert.Equal(model.Rewards(ids).ToSingle(), fresh.Rewards(ids).ToSingle());
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(In("reward"), "adapter", "adapter_config.json")))!;
        Assert.Equal("SEQ_CLS", config["task_type"]!.GetValue<string>());
        Assert.Equal("score", config["modules_to_save"]![0]!.GetValue<string>());
        Assert.Contains("belongs to a reward model", Assert.Throws<LoraException>(() => language.LoadLora(Path.Combine(In("reward"), "adapter"))).Message);
    }

    [Fact]
    public void A_clone_has_an_adapter_of_its_own()
    {
        using var model = CausalLm.New(ModelConfig.Gpt2(50, 32, 2, 4, 64), 1);
        model.AddLora(new LoraOptions(2), 3);
        Fill(model);
        using var copy = model.Clone();
        using var noGrad = no_grad();
        Assert.True(Logits(model).equal(Logits(copy)).all().ToBoolean());
        foreach (var matrix in model.Trainable.Values) matrix.zero_();
        Assert.False(Logits(model).equal(Logits(copy)).all().ToBoolean());
    }

    [Fact]
    public void Modules_that_are_not_there_are_refused_by_name()
    {
        using var model = CausalLm.New(ModelConfig.Gpt2(50, 32, 1, 4, 64), 1);
        var message = Assert.Throws<LoraException>(() => model.AddLora(new LoraOptions(2, TargetModules: "c_attn, q_proj"), 1)).Message;
        Assert.Contains("'q_proj' is not a projection of gpt2", message);
        Assert.Contains("c_attn, c_proj, c_fc", message);
        Assert.Same(model.Parameters, model.Trainable);
        model.AddLora(new LoraOptions(2, TargetModules: "mlp.c_proj"), 1);
        Assert.Equal(["base_model.model.transformer.h.0.mlp.c_proj.lora_A.weight", "base_model.model.transformer.h.0.mlp.c_proj.lora_B.weight"], model.Trainable.Keys);
        Assert.Contains("already", Assert.Throws<LoraException>(() => model.AddLora(new LoraOptions(2), 1)).Message);
    }

    [Theory]
    [InlineData("peft_type", "\"IA3\"", "peft_type is IA3")]
    [InlineData("use_dora", "true", "DoRA")]
    [InlineData("bias", "\"all\"", "bias is all")]
    [InlineData("rank_pattern", "{\"c_attn\":4}", "rank_pattern")]
    [InlineData("r", "0", "r is 0")]
    [InlineData("r", "3", "has shape [2, 32], but [3, 32] is needed")]
    [InlineData("lora_alpha", "\"x\"", "lora_alpha must be a number")]
    public void Adapters_of_other_kinds_are_refused_by_field(string field, string value, string reason)
    {
        using var model = CausalLm.New(ModelConfig.Gpt2(50, 32, 1, 4, 64), 1);
        model.AddLora(new LoraOptions(2), 3);
        model.Save(In("out"));
        var path = Path.Combine(In("out"), "adapter", "adapter_config.json");
        var config = JsonNode.Parse(File.ReadAllText(path))!;
        config[field] = JsonNode.Parse(value);
        File.WriteAllText(path, config.ToJsonString());
        using var other = CausalLm.New(ModelConfig.Gpt2(50, 32, 1, 4, 64), 1);
        Assert.Contains(reason, Assert.ThrowsAny<Exception>(() => other.LoadLora(Path.GetDirectoryName(path)!)).Message);
        Assert.Same(other.Parameters, other.Trainable);
    }

    [Fact]
    public void Rank_stabilised_adapters_are_scaled_by_the_root_of_the_rank()
    {
        using var model = CausalLm.New(ModelConfig.Gpt2(50, 32, 1, 4, 64), 1);
        model.AddLora(new LoraOptions(4, Alpha: 6), 3);
        Fill(model);
        model.Save(In("out"));
        var path = Path.Combine(In("out"), "adapter", "adapter_config.json");
        var config = JsonNode.Parse(File.ReadAllText(path))!;
        (config["use_rslora"], config["lora_alpha"]) = (true, 3);
        File.WriteAllText(path, config.ToJsonString());
        using var other = CausalLm.New(ModelConfig.Gpt2(50, 32, 1, 4, 64), 1);
        other.LoadLora(Path.GetDirectoryName(path)!);
        // 6 / 4 = 3 / √4.
        Assert.True(Logits(model).allclose(Logits(other), 1e-5, 1e-6));
    }

    [Fact]
    public void An_adapter_for_another_model_is_refused()
    {
        using var model = CausalLm.New(ModelConfig.Gpt2(50, 32, 1, 4, 64), 1);
        model.AddLora(new LoraOptions(2), 3);
        model.Save(In("out"));
        using var other = CausalLm.New(ModelConfig.GptNeoX(50, 32, 1, 4, 64), 1);
        Assert.Contains("transformer.h.0.attn.c_attn.lora_A.weight belongs to no projection", Assert.Throws<LoraException>(() => other.LoadLora(Path.Combine(In("out"), "adapter"))).Message);
    }
}
