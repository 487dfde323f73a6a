namespace Labeling.Training.Cli.Tests;

/// <summary>A killed run, started again, ends exactly as one that was never interrupted.</summary>
[Collection(TinyWorld.Name)]
public class ResumeTests(TinyWorld world)
{
    /// <summary>Where the kills fall: the same steps in every run of the tests, the moment within the step by chance.</summary>
    private readonly Random random = new(20);

    [Fact]
    public void Killed_again_and_again_and_resumed_is_bit_identical_in_every_stage()
    {
        Same("pretrain", world.Pretrain("pretrain"), steps: 60, kills: 5);
        // The uninterrupted runs of one stage are the inputs of the next.
        Same("sft", world.Sft("sft"), steps: 48, kills: 5);
        var reward = world.Reward("reward", "sft");
        Same("reward", reward, steps: 48, kills: 5);
        Assert.Equal(56 * 3, RunFiles.Lines(Path.Combine(reward, "scores.jsonl")).Count);
        Same("ppo", world.Ppo("ppo", "sft", "reward"), steps: 40, kills: 7);
    }

    [Fact]
    public void Preference_methods_are_bit_identical_after_kills()
    {
        var (sft, _) = world.SftAndReward();
        var dpo = world.Dpo("dpo", sft);
        Same("dpo", dpo, steps: 12, kills: 2);
        var kto = world.Kto("kto", sft);
        Same("kto", kto, steps: 24, kills: 3);
    }

    [Theory]
    [InlineData("grpo")]
    [InlineData("rloo")]
    public void Group_policy_methods_are_bit_identical_after_kills(string stage)
    {
        var (sft, reward) = world.SftAndReward();
        var run = world.Group(stage, stage, sft, reward, episodes: 640);
        Same(stage, run, steps: 20, kills: 3);
    }

    [Fact]
    public void Sampling_goes_on_where_it_was_killed_even_inside_a_line()
    {
        var sft = world.Sft("sft-for-sampling");
        TinyWorld.Finish("sft", sft);
        var whole = world.Sample("sample", "sft-for-sampling");
        TinyWorld.Finish("sample", whole);
        var killed = Interrupted("sample", whole, AtRandom(steps: 40, kills: 4), random, folder =>
        {
            // What a power cut may leave: the file ends inside a row.
            using var samples = new FileStream(Path.Combine(folder, "samples.jsonl"), FileMode.Open);
            samples.SetLength(samples.Length - random.Next(1, 300));
        });
        Assert.Equal(2 * 40 * 3, RunFiles.Lines(Path.Combine(whole, "samples.jsonl")).Count);
        Assert.Equal(RunFiles.Lines(Path.Combine(whole, "samples.jsonl")), RunFiles.Lines(Path.Combine(killed, "samples.jsonl")));
        Assert.Equal(RunFiles.Metrics(whole), RunFiles.Metrics(killed));
    }

    [Fact]
    public void A_disk_that_fills_up_ends_the_run_and_more_room_lets_it_go_on()
    {
        var whole = world.Sft("sft-roomy");
        TinyWorld.Finish("sft", whole);
        var disk = Directory.CreateDirectory(Path.Combine(world.Root, "sft-full")).FullName;
        // One checkpoint has 430 KB: the third does not fit.
        Assert.SkipUnless(OperatingSystem.IsLinux() && Shell("mount", "-t", "tmpfs", "-o", "size=1m", "none", disk), "A small file system can only be mounted as root on Linux.");
        try
        {
            RunFiles.Copy(whole, "sft-full");
            var (code, _, error) = TrainerProcess.Run("sft", "--run", disk);
            Assert.Equal(1, code);
            Assert.Contains("space left", error, StringComparison.OrdinalIgnoreCase);
            Assert.True(Shell("mount", "-o", "remount,size=64m", disk));
            TinyWorld.Finish("sft", disk);
            Assert.Contains("Going on after step", File.ReadAllText(Path.Combine(disk, "log.txt")), StringComparison.Ordinal);
            AssertSame(whole, disk);
        }
        finally
        {
            Shell("umount", "-l", disk);
        }
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
            var killed = Interrupted(stage, whole, [1, 8], random);
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
            Assert.Equal(3, trainer.Wait(TimeSpan.FromMinutes(3)).Code);
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

    /// <summary>Killed at these steps and started again, a finished run comes out the same.</summary>
    internal static void Same(string stage, string whole, params int[] killAt) => AssertSame(whole, Interrupted(stage, whole, killAt, new Random(20)));

    private void Same(string stage, string whole, int steps, int kills)
    {
        TinyWorld.Finish(stage, whole);
        AssertSame(whole, Interrupted(stage, whole, AtRandom(steps, kills), random));
    }

    /// <summary>Random steps of a run's first four fifths. LABELING_KILLS asks for more of them than a test has time for.</summary>
    private int[] AtRandom(int steps, int kills)
    {
        var wanted = int.TryParse(Environment.GetEnvironmentVariable("LABELING_KILLS"), out var more) ? more : kills;
        return [.. Enumerable.Range(1, steps * 4 / 5).OrderBy(_ => random.Next()).Take(wanted).Order()];
    }

    /// <summary>A copy of a run, killed with SIGKILL at these steps and started again until it is done.</summary>
    private static string Interrupted(string stage, string whole, int[] killAt, Random random, Action<string>? afterKill = null)
    {
        var killed = RunFiles.Copy(whole, Path.GetFileName(whole) + "-killed");
        foreach (var step in killAt)
        {
            using var trainer = new TrainerProcess(stage, "--run", killed);
            if (!trainer.WaitForStep(killed, step))
            {
                Assert.Fail($"{stage} ended before step {step}: {trainer.Wait(TimeSpan.FromMinutes(3))}");
            }
            // Into the step, or into the writing of its checkpoint.
            Thread.Sleep(TimeSpan.FromMicroseconds(random.Next(0, 4000)));
            trainer.Kill();
            afterKill?.Invoke(killed);
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
        var checkpoints = Directory.GetDirectories(Path.Combine(whole, "checkpoints")).Select(Path.GetFileName).Order().ToList();
        Assert.Equal(checkpoints, Directory.GetDirectories(Path.Combine(resumed, "checkpoints")).Select(Path.GetFileName).Order());
        // Weights, moments and numbers of the last checkpoints.
        foreach (var (checkpoint, file) in checkpoints.SelectMany(c => new[] { (c!, "tensors.safetensors"), (c!, "state.json") }))
        {
            Assert.True(File.ReadAllBytes(Path.Combine(whole, "checkpoints", checkpoint, file)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(resumed, "checkpoints", checkpoint, file))), $"{checkpoint}/{file}");
        }
        foreach (var name in new[] { "scores.jsonl", "rollouts.jsonl" }.Where(n => File.Exists(Path.Combine(whole, n))))
        {
            Assert.Equal(RunFiles.Lines(Path.Combine(whole, name)), RunFiles.Lines(Path.Combine(resumed, name)));
        }
    }

    private static bool Shell(string program, params string[] arguments)
    {
        using var process = System.Diagnostics.Process.Start(program, arguments);
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}
