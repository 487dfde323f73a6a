using System.Text.Json.Nodes;

namespace Labeling.Training.Cli.Tests;

/// <summary>Group policy methods through their command line.</summary>
[Collection(TinyWorld.Name)]
public class GroupPolicyStageTests(TinyWorld world)
{
    [Theory]
    [InlineData("grpo")]
    [InlineData("rloo")]
    public void Comparing_answers_raises_the_reward(string stage)
    {
        var (sft, reward) = world.SftAndReward();
        var run = world.Group("learns-" + stage, stage, sft, reward, episodes: 1280);
        TinyWorld.Finish(stage, run);
        var metrics = RunFiles.Metrics(run).Select(line => JsonNode.Parse(line)!.AsObject()).ToList();
        double Mean(IEnumerable<JsonObject> rows, string name) => rows.Average(r => r[name]!.GetValue<double>());
        var (before, after) = (Mean(metrics.Take(5), "reward"), Mean(metrics.TakeLast(5), "reward"));
        Assert.True(after > before + (0.5 * Mean(metrics.Take(5), "reward_std")), $"reward {before} -> {after}; {metrics[0].ToJsonString()} -> {metrics[^1].ToJsonString()}");
        // The policy that sampled is the reference, and the one that learns, up to the first minibatch's small step.
        Assert.Equal(0, metrics[0]["objective/kl"]!.GetValue<double>(), 1e-4);
        Assert.Equal(1, metrics[0]["val/ratio"]!.GetValue<double>(), 0.02);
        // Base models that differ by rounding alone gave 0.001 to 0.012.
        Assert.Equal(0, metrics[0]["kl"]!.GetValue<double>(), 0.02);
        Assert.True(metrics[^1]["objective/kl"]!.GetValue<double>() > 0.1);
        Assert.All(metrics, m => Assert.InRange(m["frac_reward_zero_std"]!.GetValue<double>(), 0, 1));
        AssertGroupsAreCredited(run);
    }

    [Theory]
    [InlineData("""{"answers_per_prompt":1}""", "'answers_per_prompt' = 1 is out of range; the nearest valid value is 2")]
    [InlineData("""{"scale_reward":false}""", "did you mean 'scale_rewards'")]
    public void An_impossible_group_is_refused(string hyperparameters, string reason)
    {
        var (sft, reward) = world.SftAndReward();
        var run = world.Group("bad-group-" + Guid.NewGuid().ToString("N"), "grpo", sft, reward, 8);
        Refused(run, spec => spec["hyperparameters"] = JsonNode.Parse(hyperparameters), reason);
    }

    [Fact]
    public void What_is_missing_or_does_not_fit_is_named()
    {
        var (sft, reward) = world.SftAndReward();
        Refused(world.Group("no-reward-model", "grpo", sft, reward, 8), spec => spec.Remove("reward_model"), "needs 'reward_model'");
        Refused(world.Group("no-prompts", "grpo", sft, reward, 8), spec => spec["data"] = new JsonArray(), "needs prompt rows");

        // A reward model of another tokenizer, and one whose weights do not fit its own.
        var other = Directory.CreateDirectory(Path.Combine(world.Root, "other-reward")).FullName;
        foreach (var file in Directory.EnumerateFiles(Path.Combine(world.Root, reward, "output")))
        {
            File.Copy(file, Path.Combine(other, Path.GetFileName(file)));
        }
        File.AppendAllText(Path.Combine(other, "tokenizer.json"), " ");
        Refused(world.Group("other-tokenizer", "grpo", sft, reward, 8), spec => spec["reward_model"] = "../other-reward", "tokenizers of");
        Refused(world.Group("no-tokenizer", "grpo", sft, reward, 8), spec => spec["base"] = "../" + sft, "tokenizer.json");
    }

    private static void Refused(string run, Action<JsonObject> change, string reason)
    {
        var spec = RunFiles.Json(run, "run.json");
        change(spec);
        File.WriteAllText(Path.Combine(run, "run.json"), spec.ToJsonString());
        var (code, _, error) = TrainerProcess.Run("grpo", "--run", run);
        Assert.True(code == 2, error);
        Assert.Contains(reason, error, StringComparison.Ordinal);
    }

    /// <summary>The logged answers of a batch are one group: their advantages follow from their rewards alone.</summary>
    private static void AssertGroupsAreCredited(string run)
    {
        foreach (var group in RunFiles.Lines(Path.Combine(run, "rollouts.jsonl")).Select(line => JsonNode.Parse(line)!.AsObject()).GroupBy(r => r["step"]!.GetValue<int>()))
        {
            Assert.Equal(4, group.Count());
            Assert.Single(group.Select(r => r["prompt_id"]!.GetValue<string>()).Distinct());
            var advantages = group.Select(r => r["advantages"]!.AsArray().Select(a => a!.GetValue<float>()).Distinct().Single()).ToList();
            Assert.Equal(0, advantages.Sum(), 1e-3f);
            var rewards = group.Select(r => r["rewards"]!.AsArray()[^1]!.GetValue<float>()).ToList();
            Assert.Equal(rewards.IndexOf(rewards.Max()), advantages.IndexOf(advantages.Max()));
        }
    }
}
