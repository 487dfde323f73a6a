using System.Text.Json.Nodes;

namespace Labeling.Training.Cli.Tests;

/// <summary>What the stage "sft" can do beside its defaults.</summary>
[Collection(TinyWorld.Name)]
public class SftTests(TinyWorld world)
{
    private static readonly object[] Texts = [.. Enumerable.Range(0, 40).Select(i => (object)new { text = $"the {(i % 2 == 0 ? "river" : "stone")} is {(i % 3 == 0 ? "blue" : "red")}" })];

    private static object[] Talks(int count) => [.. Enumerable.Range(0, count).Select(i => (object)new
    {
        id = $"t{i}",
        messages = Enumerable.Range(i, 2).SelectMany(n => new[] { new { role = "user", content = $"say {n % 4}" }, new { role = "assistant", content = $"{n % 4} {n % 4}" } }),
    })];

    private string Run(string name, object hyperparameters, object[]? rows = null, string model = "../base/output")
    {
        var folder = RunFiles.Make(world.Root, name, "sft", hyperparameters, [("train", rows ?? TinyWorld.Demonstrations(48)), ("valid", TinyWorld.Demonstrations(8)), ("pretrain", Texts)], ("base", model));
        TinyWorld.Finish("sft", folder);
        return folder;
    }

    private static double Metric(string folder, string name) => RunFiles.Json(folder, "result.json")["metrics"]![name]!.GetValue<double>();

    private static List<double> Column(string folder, string name) => [.. RunFiles.Metrics(folder).Select(l => JsonNode.Parse(l)![name]).OfType<JsonNode>().Select(v => v.GetValue<double>())];

    [Fact]
    public void Killed_and_resumed_is_bit_identical_with_every_option()
    {
        var folder = Run("sft-options", new
        {
            epochs = 8,
            batch_size = 8,
            checkpoint_every = 4,
            conversations = "all",
            dropout = 0.2,
            packing = true,
            micro_batch_size = 3,
            pretraining_mix = 0.1,
            lora_rank = 4,
            lora_dropout = 0.1,
        }, [.. Talks(24), .. TinyWorld.Demonstrations(24)]);
        ResumeTests.Same("sft", folder, 3, 14, 27);
    }

    [Fact]
    public void Micro_batches_and_packing_take_the_same_steps()
    {
        // At the stage's own rate the second step of so small a world overshoots and makes a thousand times as much of the sums' rounding.
        var whole = Run("sft-whole-step", new { epochs = 2, batch_size = 16, packing = true, learning_rate = 1e-4 });
        var parts = Run("sft-parts", new { epochs = 2, batch_size = 16, packing = true, learning_rate = 1e-4, micro_batch_size = 5 });
        foreach (var name in new[] { "loss", "grad_norm", "mean_token_accuracy" })
        {
            Assert.All(Column(whole, name).Zip(Column(parts, name)), x => Assert.Equal(x.First, x.Second, 1e-4));
        }
    }

    [Fact]
    public void Every_turn_is_learned_once_per_pass_and_the_last_alone_when_asked()
    {
        var split = Run("sft-split", new { epochs = 1, batch_size = 8 }, Talks(24));
        var all = Run("sft-all", new { epochs = 1, batch_size = 8, conversations = "all" }, Talks(24));
        var last = Run("sft-last", new { epochs = 1, batch_size = 8, conversations = "last" }, Talks(24));
        Assert.Equal([6, 3, 3], new[] { split, all, last }.Select(f => RunFiles.Metrics(f).Count));
        // A row of two turns is read once with "all"; "split" reads its first turn twice.
        Assert.Equal(Metric(last, "num_tokens"), Metric(all, "num_tokens"));
        Assert.True(Metric(split, "num_tokens") > 1.4 * Metric(all, "num_tokens"));
    }

    [Fact]
    public void Mixed_in_text_is_learned_too()
    {
        var without = Run("sft-no-mix", new { epochs = 8, batch_size = 8, pretraining_mix = 0 });
        var mixed = Run("sft-mix", new { epochs = 8, batch_size = 8, pretraining_mix = 0.1 });
        Assert.Empty(Column(without, "pretraining_loss"));
        var losses = Column(mixed, "pretraining_loss");
        Assert.True(losses[^1] < losses[0] - 1, $"{losses[0]} to {losses[^1]}");
        Assert.True(Metric(mixed, "eval/loss") < 1.5 * Metric(without, "eval/loss") + 0.1);

        var bare = RunFiles.Make(world.Root, "sft-mix-without-text", "sft", new { pretraining_mix = 0.1 }, [("train", TinyWorld.Demonstrations(8))], ("base", "../base/output"));
        var (code, _, error) = TrainerProcess.Run("sft", "--run", bare);
        Assert.Equal(2, code);
        Assert.Contains("split 'pretrain'", error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_adapter_learns_and_is_saved_merged_and_by_itself()
    {
        var folder = Run("sft-lora", new { epochs = 16, batch_size = 8, lora_rank = 8, lora_target_modules = "c_attn,mlp.c_proj" });
        var evaluated = Column(folder, "eval/loss");
        Assert.True(evaluated[^1] < evaluated[0] - 0.1 && evaluated[0] < Column(folder, "loss")[0], string.Join(", ", evaluated));
        Assert.Equal(["adapter_config.json", "adapter_model.safetensors"], Directory.EnumerateFiles(Path.Combine(folder, "output", "adapter")).Select(Path.GetFileName).Order());
        var config = RunFiles.Json(Path.Combine(folder, "output", "adapter"), "adapter_config.json");
        // "c_proj" alone would mean the attention's too.
        Assert.Equal(["attn.c_attn", "mlp.c_proj"], config["target_modules"]!.AsArray().Select(t => t!.GetValue<string>().Split("h.0.")).Where(t => t.Length > 1).Select(t => t[1]));
        Assert.Equal("../../../base/output", config["base_model_name_or_path"]!.GetValue<string>());

        // PEFT's folder as the base of the next run is the merged model.
        var adapter = Path.Combine(world.Root, "peft");
        Directory.CreateDirectory(adapter);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(folder, "output", "adapter")).Concat(Directory.EnumerateFiles(Path.Combine(folder, "output"), "tokenizer*")))
        {
            File.Copy(file, Path.Combine(adapter, Path.GetFileName(file)), overwrite: true);
        }
        config["base_model_name_or_path"] = "../base/output";
        File.WriteAllText(Path.Combine(adapter, "adapter_config.json"), config.ToJsonString());
        var fromMerged = Run("sft-from-merged", new { epochs = 1, batch_size = 8 }, model: "../sft-lora/output");
        var fromAdapter = Run("sft-from-adapter", new { epochs = 1, batch_size = 8 }, model: "../peft");
        Assert.Equal(RunFiles.Metrics(fromMerged), RunFiles.Metrics(fromAdapter));

        config["base_model_name_or_path"] = "somebody/model";
        File.WriteAllText(Path.Combine(adapter, "adapter_config.json"), config.ToJsonString());
        Refused("sft-adapter-without-base", "../peft", new { }, "base_model_name_or_path is 'somebody/model'");
        Refused("sft-wrong-module", "../base/output", new { lora_rank = 2, lora_target_modules = "q_proj" }, "'lora_target_modules' = \"q_proj\"");
    }

    [Theory]
    [InlineData("pad_token", "<|end|>", "odd-pad_token' has one token, '<|end|>', both for the end and for padding")]
    [InlineData("bos_token", "<|user|>", "train.jsonl:3: the row has the begin token '<|user|>' 2 times")]
    public void A_tokenizer_or_row_that_would_teach_the_wrong_thing_is_named(string token, string value, string reason)
    {
        var model = Path.Combine(world.Root, "odd-" + token);
        Directory.CreateDirectory(model);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(world.BaseRun, "output")))
        {
            File.Copy(file, Path.Combine(model, Path.GetFileName(file)), overwrite: true);
        }
        var config = RunFiles.Json(model, "tokenizer_config.json");
        config[token] = value;
        File.WriteAllText(Path.Combine(model, "tokenizer_config.json"), config.ToJsonString());
        Refused("sft-odd-" + token, "../odd-" + token, new { conversations = "all" }, reason, [.. TinyWorld.Demonstrations(2), .. Talks(1)]);
    }

    private void Refused(string name, string model, object hyperparameters, string reason, object[]? rows = null)
    {
        var folder = RunFiles.Make(world.Root, name, "sft", hyperparameters, [("train", rows ?? TinyWorld.Demonstrations(8))], ("base", model));
        var (code, _, error) = TrainerProcess.Run("sft", "--run", folder);
        Assert.True(code == 2, error);
        Assert.Contains(reason, error, StringComparison.Ordinal);
    }
}
