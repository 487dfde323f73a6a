using System.Text.Json.Nodes;
using Labeling.Training.Checkpoints;
using Labeling.Training.Cli.Tests;
using Labeling.Training.Optim;
using Labeling.Training.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Runs;

/// <summary>A number that is none ends the run at the step where it appears; what was saved before stays good.</summary>
public sealed class NonFiniteTests : IDisposable
{
    private readonly StageWorld world = new();

    public void Dispose() => world.Dispose();

    [Theory]
    [InlineData("pretrain")]
    [InlineData("sft")]
    [InlineData("reward")]
    public void A_run_that_explodes_leaves_a_good_checkpoint_and_says_what_exploded(string stage)
    {
        var rows = stage switch { "pretrain" => StageWorld.Texts(64), "sft" => StageWorld.Demonstrations(16), _ => StageWorld.Rankings(16) };
        // Every step makes the weights nine times as large.
        var folder = world.Make(stage, stage, new { learning_rate = 1, weight_decay = 10, max_grad_norm = 1e6, epochs = 200, batch_size = 16, checkpoint_every = 1 }, ("train", rows));
        var error = Assert.ThrowsAny<Exception>(() => StageWorld.Start(folder));
        Assert.True(error is NonFiniteException or NonFiniteGradientException, error.ToString());
        Assert.Matches("(loss is (NaN|Infinity))|(gradient of .+ is not finite)|(gradient norm overflows)|(the tensor .+ not finite)|(margin is)|(reward is)", error.Message);
        Assert.False(Directory.Exists(Path.Combine(folder, "output")));
        using var checkpoint = TrainingCheckpoint.OpenNewest(Path.Combine(folder, "checkpoints"), warning => Assert.Fail(warning))!;
        // The run went on until the step before, and nothing it saved is spoiled.
        var reported = RunFiles.Lines(Path.Combine(folder, "metrics.jsonl")).Count;
        Assert.InRange(checkpoint.Step, Math.Max(1, reported - 1), reported);
        using var scope = NewDisposeScope();
        Assert.All(checkpoint.TensorNames, name => Assert.True(checkpoint.Read(name).isfinite().all().ToBoolean(), name));
    }

    [Theory]
    [InlineData("policy", "The model's logits are not finite")]
    [InlineData("reward", "the (reward model's score|value model's values) of prompt")]
    public void Ppo_names_the_model_whose_numbers_end(string model, string what)
    {
        Spoil(model, model == "policy" ? "transformer.ln_f.weight" : "score.weight", 3e38f);
        var folder = world.Make("ppo", "ppo", new { episodes = 8, batch_size = 8, max_new_tokens = 4 }, ("train", StageWorld.Prompts(4)));
        Assert.Matches(what, Assert.Throws<NonFiniteException>(() => StageWorld.Start(folder)).Message);
        Assert.False(Directory.Exists(Path.Combine(folder, "output")));
    }

    [Fact]
    public void A_model_that_holds_no_number_is_refused_by_the_name_of_its_tensor()
    {
        Spoil("policy", "transformer.h.0.mlp.c_fc.bias", float.NaN);
        foreach (var (stage, rows) in new[] { ("sft", StageWorld.Demonstrations(4)), ("reward", StageWorld.Rankings(4)), ("ppo", StageWorld.Prompts(4)) })
        {
            var folder = world.Make(stage, stage, new { }, ("train", rows));
            Assert.Contains("transformer.h.0.mlp.c_fc.bias", Assert.Throws<BadInputException>(() => StageWorld.Start(folder)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Padding_with_the_end_token_is_refused_for_learning_and_does_for_answering()
    {
        var path = Path.Combine(world.In("policy"), "tokenizer_config.json");
        var config = JsonNode.Parse(File.ReadAllText(path))!;
        config["pad_token"] = config["eos_token"]!.DeepClone();
        File.WriteAllText(path, config.ToJsonString());
        foreach (var (stage, rows) in new[] { ("sft", StageWorld.Demonstrations(4)), ("reward", StageWorld.Rankings(4)), ("ppo", StageWorld.Prompts(4)), ("dpo", StageWorld.Rankings(4)), ("kto", StageWorld.Rankings(4)), ("grpo", StageWorld.Prompts(4)) })
        {
            var folder = world.Make(stage, stage, new { }, ("train", rows));
            Assert.Contains("both for the end and for padding", Assert.Throws<BadInputException>(() => StageWorld.Start(folder)).Message, StringComparison.Ordinal);
        }
        var answers = RunFiles.Make(world.Root, "answers", "sample", new { answers_per_prompt = 2, max_new_tokens = 4 }, [("train", StageWorld.Prompts(3))],
            ("models", new JsonArray(new JsonObject { ["id"] = "m", ["path"] = "../policy" })));
        StageWorld.Start(answers);
        Assert.Equal(6, RunFiles.Lines(Path.Combine(answers, "samples.jsonl")).Count);
    }

    private void Spoil(string model, string tensor, float value)
    {
        using var scope = NewDisposeScope();
        var path = Path.Combine(world.In(model), "model.safetensors");
        Dictionary<string, Tensor> weights;
        using (var file = SafetensorsFile.Open(path))
        {
            weights = file.Entries.Keys.ToDictionary(name => name, file.Read);
        }
        weights[tensor].fill_(value);
        SafetensorsFile.Write(path, weights);
    }
}
