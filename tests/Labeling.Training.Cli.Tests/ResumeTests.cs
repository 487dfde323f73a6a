namespace Labeling.Training.Cli.Tests;

/// <summary>A killed run, started again, ends exactly as one that was never interrupted.</summary>
[Collection(TinyWorld.Name)]
public class ResumeTests(TinyWorld world)
{
    [Fact]
    public void Killed_and_resumed_is_bit_identical_in_every_stage()
    {
        // The uninterrupted runs of one stage are the inputs of the next.
        Same("pretrain", world.BaseRun, 3, 9, 22);
        var sft = world.Sft("sft");
        TinyWorld.Finish("sft", sft);
        Same("sft", sft, 2, 13, 22);
        var reward = world.Reward("reward", "sft");
        TinyWorld.Finish("reward", reward);
        Same("reward", reward, 3, 14, 25);
        Assert.Equal(56 * 3, RunFiles.Lines(Path.Combine(reward, "scores.jsonl")).Count);
        var ppo = world.Ppo("ppo", "sft", "reward");
        TinyWorld.Finish("ppo", ppo);
        Same("ppo", ppo, 1, 7, 14);
    }

    [Fact]
    public void Preference_methods_are_bit_identical_after_kills()
    {
        var (sft, _) = world.SftAndReward();
        var dpo = world.Dpo("dpo", sft);
        TinyWorld.Finish("dpo", dpo);
        Same("dpo", dpo, 2, 9);
        var kto = world.Kto("kto", sft);
        TinyWorld.Finish("kto", kto);
        Same("kto", kto, 3, 13, 22);
    }

    [Theory]
    [InlineData("grpo")]
    [InlineData("rloo")]
    public void Group_policy_methods_are_bit_identical_after_kills(string stage)
    {
        var (sft, reward) = world.SftAndReward();
        var run = world.Group(stage, stage, sft, reward, episodes: 640);
        TinyWorld.Finish(stage, run);
        Same(stage, run, 1, 7, 14);
    }

    [Fact]
    public void Sampling_goes_on_where_it_was_killed()
    {
        var sft = world.Sft("sft-for-sampling");
        TinyWorld.Finish("sft", sft);
        var whole = world.Sample("sample", "sft-for-sampling");
        TinyWorld.Finish("sample", whole);
        var killed = Interrupted("sample", whole, 1, 14);
        Assert.Equal(2 * 40 * 3, RunFiles.Lines(Path.Combine(whole, "samples.jsonl")).Count);
        Assert.Equal(RunFiles.Lines(Path.Combine(whole, "samples.jsonl")), RunFiles.Lines(Path.Combine(killed, "samples.jsonl")));
        Assert.Equal(RunFiles.Metrics(whole), RunFiles.Metrics(killed));
    }

    [Fact]
    public void Rejection_sampling_and_evaluation_go_on_where_they_were_killed()
    {
        var (sft, reward) = world.SftAndReward();
        foreach (var (stage, whole, files) in new[]
        {
            ("best-of-n", world.BestOf("best-of", sft, reward), new[] { "samples.jsonl", "demonstrations.jsonl" }),
            ("evaluate", world.Questions("questions", sft, batchSize: 1, shots: 1), new[] { "items.jsonl" }),
        })
        {
            TinyWorld.Finish(stage, whole);
            var killed = Interrupted(stage, whole, 1, 8);
            Assert.All(files, file => Assert.Equal(RunFiles.Lines(Path.Combine(whole, file)), RunFiles.Lines(Path.Combine(killed, file))));
            Assert.Equal(RunFiles.Metrics(whole), RunFiles.Metrics(killed));
            Assert.Equal(RunFiles.Json(whole, "result.json")["metrics"]!.ToJsonString(), RunFiles.Json(killed, "result.json")["metrics"]!.ToJsonString());
        }
    }

    [Fact]
    public void A_request_to_stop_writes_a_checkpoint_and_exits_with_3()
    {
        var whole = world.Sft("sft-whole");
        TinyWorld.Finish("sft", whole);
        var stopped = RunFiles.Copy(whole, "sft-stopped");
        using (var trainer = new TrainerProcess("sft", "--run", stopped))
        {
            Assert.True(trainer.WaitForStep(stopped, 6));
            trainer.Terminate();
            Assert.Equal(3, trainer.Wait().Code);
        }
        var steps = RunFiles.Lines(Path.Combine(stopped, "metrics.jsonl")).Count;
        Assert.True(Directory.Exists(Path.Combine(stopped, "checkpoints", $"step-{steps}")));
        Assert.False(File.Exists(Path.Combine(stopped, "result.json")));
        TinyWorld.Finish("sft", stopped);
        AssertSame(whole, stopped);
    }

    [Fact]
    public void A_checkpoint_is_not_continued_under_another_run_json()
    {
        var whole = world.Sft("sft-changed");
        using (var trainer = new TrainerProcess("sft", "--run", whole))
        {
            Assert.True(trainer.WaitForStep(whole, 6));
            trainer.Kill();
        }
        var run = RunFiles.Json(whole, "run.json");
        run["seed"] = 8;
        File.WriteAllText(Path.Combine(whole, "run.json"), run.ToJsonString());
        var (code, _, error) = TrainerProcess.Run("sft", "--run", whole);
        Assert.Equal(2, code);
        Assert.Contains("was changed after checkpoint", error, StringComparison.Ordinal);
    }

    private static void Same(string stage, string whole, params int[] killAt) => AssertSame(whole, Interrupted(stage, whole, killAt));

    private static string Interrupted(string stage, string whole, params int[] killAt)
    {
        var killed = RunFiles.Copy(whole, Path.GetFileName(whole) + "-killed");
        foreach (var step in killAt)
        {
            using var trainer = new TrainerProcess(stage, "--run", killed);
            if (!trainer.WaitForStep(killed, step))
            {
                Assert.Fail($"{stage} ended before step {step}: {trainer.Wait()}");
            }
            trainer.Kill();
        }
        Assert.False(File.Exists(Path.Combine(killed, "result.json")), $"{stage} was already done when it was to be killed.");
        TinyWorld.Finish(stage, killed);
        return killed;
    }

    private static void AssertSame(string whole, string resumed)
    {
        Assert.Equal(RunFiles.Metrics(whole), RunFiles.Metrics(resumed));
        Assert.Equal(File.ReadAllBytes(Path.Combine(whole, "output", "model.safetensors")), File.ReadAllBytes(Path.Combine(resumed, "output", "model.safetensors")));
        Assert.Equal(RunFiles.Json(whole, "result.json")["metrics"]!["loss"]?.ToJsonString(), RunFiles.Json(resumed, "result.json")["metrics"]!["loss"]?.ToJsonString());
        foreach (var name in new[] { "scores.jsonl", "rollouts.jsonl" }.Where(n => File.Exists(Path.Combine(whole, n))))
        {
            Assert.Equal(RunFiles.Lines(Path.Combine(whole, name)), RunFiles.Lines(Path.Combine(resumed, name)));
        }
    }
}
