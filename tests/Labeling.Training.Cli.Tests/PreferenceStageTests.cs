using System.Text.Json.Nodes;

namespace Labeling.Training.Cli.Tests;

/// <summary>Direct preference methods through their command line: they learn what was preferred and say what is wrong with their input.</summary>
[Collection(TinyWorld.Name)]
public class PreferenceStageTests(TinyWorld world)
{
    [Theory]
    [InlineData("dpo")]
    [InlineData("ipo")]
    public void Preferences_raise_the_accuracy_on_prompts_never_seen(string loss)
    {
        var run = world.Dpo("learns-" + loss, world.SftAndReward().Sft, loss, epochs: 20);
        TinyWorld.Finish("dpo", run);
        var (first, last) = FirstAndLast(run);
        // Policy and reference are the same before the first step: ln 2, or (1/2β)² for IPO.
        Assert.Equal(loss == "dpo" ? Math.Log(2) : 25, first["loss"]!.GetValue<double>(), 1e-3);
        Assert.Equal(0, first["rewards/margins"]!.GetValue<double>(), 1e-4);
        Assert.True(last["eval/rewards/accuracies"]!.GetValue<double>() >= 0.75, last.ToJsonString());
        Assert.True(last["eval/rewards/margins"]!.GetValue<double>() > 0.05, last.ToJsonString());
        Assert.True(last["eval/loss"]!.GetValue<double>() < first["loss"]!.GetValue<double>(), last.ToJsonString());
        Assert.True(File.Exists(Path.Combine(run, "output", "tokenizer.json")));
    }

    [Fact]
    public void Judged_answers_raise_wanted_above_unwanted_on_prompts_never_seen()
    {
        var run = world.Kto("learns-kto", world.SftAndReward().Sft, epochs: 20);
        TinyWorld.Finish("kto", run);
        var (first, last) = FirstAndLast(run);
        Assert.Equal(0.5, first["loss"]!.GetValue<double>(), 1e-3);
        Assert.True(last["eval/rewards/margins"]!.GetValue<double>() > 0.05, last.ToJsonString());
        Assert.True(last["eval/loss"]!.GetValue<double>() < 0.5, last.ToJsonString());
        Assert.True(last["kl"]!.GetValue<double>() >= 0);
    }

    [Theory]
    [InlineData("dpo")]
    [InlineData("kto")]
    public void An_adapter_learns_from_the_same_start_and_is_saved_merged_and_by_itself(string stage)
    {
        string Run(string name, object hyperparameters)
        {
            var run = RunFiles.Make(world.Root, $"{stage}-{name}", stage, hyperparameters, [("train", TinyWorld.Rankings(16)), ("valid", TinyWorld.Rankings(8, 16))], ("base", $"../{world.SftAndReward().Sft}/output"));
            TinyWorld.Finish(stage, run);
            return run;
        }
        var adapted = Run("adapter", new { epochs = 20, batch_size = 8, lora_rank = 8, lora_dropout = 0.1, warmup_ratio = 0 });
        var (first, last) = FirstAndLast(adapted);
        // A new adapter changes nothing, dropout or not: the reference is the base model.
        Assert.Equal(stage == "dpo" ? Math.Log(2) : 0.5, first["loss"]!.GetValue<double>(), 1e-3);
        Assert.True(last["eval/rewards/margins"]!.GetValue<double>() > 0.05, last.ToJsonString());
        Assert.Equal(["adapter_config.json", "adapter_model.safetensors"], Directory.EnumerateFiles(Path.Combine(adapted, "output", "adapter")).Select(Path.GetFileName).Order());

        var all = Run("all-weights", new { epochs = 20, batch_size = 8, warmup_ratio = 0 });
        Assert.Equal(10, first["lr"]!.GetValue<double>() / FirstAndLast(all).First["lr"]!.GetValue<double>(), 1e-6);
        Assert.False(Directory.Exists(Path.Combine(all, "output", "adapter")));
        // The merged model is a base like any other, and its first and only step sees the likelihoods the policy ended with.
        var next = RunFiles.Make(world.Root, stage + "-on-merged", stage, new { batch_size = 24 }, [("train", TinyWorld.Rankings(8, 16))], ("base", $"../{stage}-adapter/output"));
        TinyWorld.Finish(stage, next);
        var likelihoods = RunFiles.Metrics(next).Select(l => JsonNode.Parse(l)!["logps/chosen"]!.GetValue<double>()).ToList();
        Assert.Equal(last["eval/logps/chosen"]!.GetValue<double>(), likelihoods[0], 1e-2);
    }

    [Theory]
    [InlineData("dpo", 8)]
    [InlineData("kto", 16)]
    public void Micro_batches_take_the_same_steps(string stage, int batchSize)
    {
        List<JsonObject> Run(string name, int micro)
        {
            var run = RunFiles.Make(world.Root, $"{stage}-{name}", stage, new { batch_size = batchSize, micro_batch_size = micro, learning_rate = 1e-4, epochs = 2 }, [("train", TinyWorld.Rankings(24))], ("base", $"../{world.SftAndReward().Sft}/output"));
            TinyWorld.Finish(stage, run);
            return [.. RunFiles.Metrics(run).Select(l => JsonNode.Parse(l)!.AsObject())];
        }
        foreach (var (whole, parts) in Run("whole", 0).Zip(Run("parts", 3)))
        {
            Assert.Equal(whole.Select(m => m.Key), parts.Select(m => m.Key));
            Assert.All(new[] { "loss", "grad_norm", "rewards/margins", "logps/rejected" }, name => Assert.Equal(whole[name]!.GetValue<double>(), parts[name]!.GetValue<double>(), 1e-3));
        }
    }

    [Theory]
    [InlineData("dpo", 3, 7, 10)]
    [InlineData("kto", 2, 11, 21)]
    public void Killed_and_resumed_is_bit_identical_with_an_adapter_and_micro_batches(string stage, params int[] killAt)
    {
        var run = RunFiles.Make(world.Root, stage + "-options", stage, new { epochs = 8, batch_size = 8, micro_batch_size = 3, checkpoint_every = 4, eval_every = 3, lora_rank = 4, lora_dropout = 0.1 },
            [("train", TinyWorld.Rankings(16)), ("valid", TinyWorld.Rankings(8, 16))], ("base", $"../{world.SftAndReward().Sft}/output"));
        TinyWorld.Finish(stage, run);
        ResumeTests.Same(stage, run, killAt);
    }

    [Fact]
    public void A_pair_teaches_the_same_as_a_ranking_of_two()
    {
        var (sft, _) = world.SftAndReward();
        var pairs = Enumerable.Range(0, 16).Select(i => (object)new { prompt = $"say {i}", chosen = "cat dog", rejected = "red" }).ToArray();
        var rankings = Enumerable.Range(0, 16).Select(i => (object)new
        {
            prompt = new[] { new { role = "user", content = $"say {i}" } },
            completions = new[] { Ranked("red", 5), Ranked("cat dog", 2) },
        }).ToArray();
        string Run(string name, object[] rows)
        {
            var run = RunFiles.Make(world.Root, name, "dpo", new { batch_size = 4 }, [("train", rows)], ("base", $"../{sft}/output"));
            TinyWorld.Finish("dpo", run);
            return run;
        }
        var (one, other) = (FirstAndLast(Run("pairs", pairs)).Last, FirstAndLast(Run("rankings-of-two", rankings)).Last);
        Assert.Equal(one["loss"]!.GetValue<double>(), other["loss"]!.GetValue<double>(), 1e-5);
        Assert.Equal(one["logps/chosen"]!.GetValue<double>(), other["logps/chosen"]!.GetValue<double>(), 1e-3);
    }

    [Theory]
    [InlineData("dpo", "", "{}", "has no rows")]
    [InlineData("kto", "", "{}", "has no rows")]
    [InlineData("dpo", """{"prompt":"q","chosen":"a","rejected":"a"}""", "{}", "nothing but ties")]
    [InlineData("kto", """{"prompt":"q","chosen":"a","rejected":"a"}""", "{}", "nothing but ties")]
    [InlineData("kto", """{"prompt":"q","completion":"a","label":true}""", "{}", "at least two different prompts")]
    [InlineData("dpo", """{"prompt":"q","completions":[{"completion":[{"role":"assistant","content":"a"}],"rank":1}]}""", "{}", "needs at least 2 completions and this one has 1")]
    [InlineData("dpo", """{"prompt":"q","chosen":"a a a a a a a a a a a a a a a a a a a a a a a a a a a a","rejected":"b"}""", "{}", "the model's context holds 32")]
    [InlineData("dpo", """{"prompt":"q","chosen":"a","rejected":"b"}""", """{"loss":"ipo","label_smoothing":0.1}""", "'label_smoothing' belongs to loss \"dpo\"")]
    [InlineData("kto", """{"prompt":"q","completion":"a","label":true}""", """{"batch_size":1}""", "'batch_size' = 1 is out of range; the nearest valid value is 2")]
    [InlineData("dpo", """{"prompt":"q","chosen":"a","rejected":"b"}""", """{"lora_rank":2,"lora_target_modules":"q_proj"}""", "'lora_target_modules' = \"q_proj\"")]
    public void What_cannot_be_learned_from_is_refused_with_its_reason(string stage, string row, string hyperparameters, string reason)
    {
        var run = RunFiles.Make(world.Root, "refused-" + Guid.NewGuid().ToString("N"), stage, new { }, [], ("base", "../base/output"));
        File.WriteAllText(Path.Combine(run, "data", "train.jsonl"), row);
        var spec = RunFiles.Json(run, "run.json");
        (spec["data"], spec["hyperparameters"]) = (new JsonArray(new JsonObject { ["path"] = "data/train.jsonl" }), JsonNode.Parse(hyperparameters));
        File.WriteAllText(Path.Combine(run, "run.json"), spec.ToJsonString());
        var (code, _, error) = TrainerProcess.Run(stage, "--run", run);
        Assert.True(code == 2, error);
        Assert.Contains(reason, error, StringComparison.Ordinal);
    }

    [Fact]
    public void One_pair_is_enough_for_a_run()
    {
        var run = RunFiles.Make(world.Root, "one-pair", "dpo", new { }, [("train", new object[] { new { prompt = "say cat", chosen = "cat", rejected = "dog" } })], ("base", "../base/output"));
        TinyWorld.Finish("dpo", run);
        Assert.Single(RunFiles.Metrics(run));
    }

    [Fact]
    public void A_base_that_is_no_complete_model_is_refused_by_what_it_lacks()
    {
        foreach (var (missing, named) in new[] { ("tokenizer.json", "tokenizer.json"), ("model.safetensors", "model.safetensors") })
        {
            var folder = Directory.CreateDirectory(Path.Combine(world.Root, "no-" + missing)).FullName;
            foreach (var file in Directory.EnumerateFiles(Path.Combine(world.BaseRun, "output")).Where(f => Path.GetFileName(f) != missing))
            {
                File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
            }
            var run = RunFiles.Make(world.Root, "on-no-" + missing, "dpo", new { }, [("train", TinyWorld.Rankings(2))], ("base", $"../no-{missing}"));
            var (code, _, error) = TrainerProcess.Run("dpo", "--run", run);
            Assert.True(code == 2, error);
            Assert.Contains(named, error, StringComparison.Ordinal);
        }
    }

    private static object Ranked(string text, int rank) => new { completion = new[] { new { role = "assistant", content = text } }, rank };

    private static (JsonObject First, JsonObject Last) FirstAndLast(string run)
    {
        var lines = RunFiles.Metrics(run);
        return (JsonNode.Parse(lines[0])!.AsObject(), JsonNode.Parse(lines[^1])!.AsObject());
    }
}
