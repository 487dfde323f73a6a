using System.Text.Json.Nodes;

namespace Labeling.Training.Cli.Tests;

/// <summary>What the stage "reward" can do beside its defaults.</summary>
[Collection(TinyWorld.Name)]
public class RewardTests(TinyWorld world)
{
    /// <summary>Two answers to a prompt, ranked as given.</summary>
    private static object Ranking(int i, int first, int second, string? labeler = null, int? strength = null, bool demonstration = false) => new
    {
        id = $"r{i}-{labeler}",
        labeler,
        strength,
        prompt = new[] { new { role = "user", content = $"say {(i % 2 == 0 ? "cat" : "dog")}" } },
        completions = new[]
        {
            new { id = "a", completion = new[] { new { role = "assistant", content = "blue house" } }, rank = first, demonstration = false },
            new { id = "b", completion = new[] { new { role = "assistant", content = "red river" } }, rank = second, demonstration },
        },
    };

    private static object[] Many(int count, Func<int, object> row) => [.. Enumerable.Range(0, count).Select(row)];

    private string Make(string name, object hyperparameters, object[] train, object[]? valid = null) => RunFiles.Make(world.Root, name, "reward", hyperparameters,
        valid is null ? [("train", train)] : [("train", train), ("valid", valid)], ("base", "../base/output"));

    private string Run(string name, object hyperparameters, object[] train, object[]? valid = null)
    {
        var folder = Make(name, hyperparameters, train, valid);
        TinyWorld.Finish("reward", folder);
        return folder;
    }

    private static double Metric(string folder, string name) => RunFiles.Json(folder, "result.json")["metrics"]![name]!.GetValue<double>();

    private static List<JsonObject> Rows(string folder, string file) => [.. RunFiles.Lines(Path.Combine(folder, file)).Select(l => JsonNode.Parse(l)!.AsObject())];

    [Fact]
    public void Killed_and_resumed_is_bit_identical_with_every_option()
    {
        object[] Labeled(int count) => Many(count, i => Ranking(i, i % 5 == 0 ? 1 : 2, 1, $"l{i % 3}", 1 + (i % 4)));
        var folder = Run("reward-options", new
        {
            epochs = 6,
            batch_size = 4,
            micro_batch_size = 3,
            checkpoint_every = 4,
            eval_every = 3,
            ties = "margin",
            strength_margin = 1,
            dropout = 0.1,
            heads = 3,
            keep = "best",
            lora_rank = 4,
            labeler_folds = 3,
        }, Labeled(36), Labeled(8));
        ResumeTests.Same("reward", folder, 2, 17, 33);
        Assert.All(Rows(folder, "scores.jsonl"), row => Assert.True(row["uncertainty"]!.GetValue<double>() > 0));
        Assert.True(File.Exists(Path.Combine(folder, "output", "reward_heads.safetensors")));
        Assert.True(File.Exists(Path.Combine(folder, "output", "adapter", "adapter_model.safetensors")));
        var best = RunFiles.Metrics(folder).Select(l => JsonNode.Parse(l)!["eval/accuracy"]).OfType<JsonNode>().Max(v => v.GetValue<double>());
        Assert.Equal(best, Metric(folder, "eval/accuracy"));
    }

    /// <summary>Two labelers of opposite taste: whoever learns from one predicts the other exactly as often as it does not predict the first.</summary>
    [Fact]
    public void Folds_show_that_a_labeler_who_was_held_out_prefers_otherwise()
    {
        object[] Opposed(int count) => [.. Many(count, i => Ranking(i, 1, 2, "ann")), .. Many(count, i => Ranking(i, 2, 1, "bob"))];
        var folder = Run("reward-folds", new { epochs = 4, batch_size = 4, labeler_folds = 5, learning_rate = 1e-3 }, Opposed(24), Opposed(6));
        var folds = Rows(folder, "folds.jsonl");
        Assert.Equal([1, 2], folds.Select(f => f["fold"]!.GetValue<int>()));
        Assert.Equal(["ann", "bob"], folds.Select(f => f["held_out_labelers"]![0]!.GetValue<string>()).Order());
        foreach (var fold in folds)
        {
            Assert.Equal(24, fold["rankings"]!.GetValue<int>());
            Assert.Equal(1, fold["train_labelers_accuracy"]!.GetValue<double>());
            Assert.Equal(0, fold["held_out_labelers_accuracy"]!.GetValue<double>());
        }
        Assert.Equal((1, 0, 0), (Metric(folder, "folds/train_labelers_accuracy"), Metric(folder, "folds/heldout_labelers_accuracy"), Metric(folder, "folds/heldout_labelers_accuracy_se")));
        Assert.Contains("2 folds instead of 5", File.ReadAllText(Path.Combine(folder, "log.txt")), StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_killed_between_folds_keeps_the_finished_ones()
    {
        object[] Labeled(int count) => Many(count, i => Ranking(i, 1 + (i % 3 / 2), 2 - (i % 3 / 2), $"l{i % 6}"));
        var hyperparameters = new { epochs = 12, batch_size = 4, labeler_folds = 3 };
        var whole = Run("reward-folds-whole", hyperparameters, Labeled(36), Labeled(12));
        var killed = RunFiles.Copy(whole, "reward-folds-killed");
        var path = Path.Combine(killed, "folds.jsonl");
        using (var trainer = new TrainerProcess("reward", "--run", killed))
        {
            Assert.True(SpinWait.SpinUntil(() => File.Exists(path) && RunFiles.CountLines(path) > 0, TimeSpan.FromMinutes(2)));
            trainer.Kill();
        }
        var finished = RunFiles.Lines(path);
        Assert.InRange(finished.Count, 1, 2);
        File.AppendAllText(path, "{\"spec\":\"cut off by a k");
        TinyWorld.Finish("reward", killed);
        Assert.Equal(RunFiles.Lines(Path.Combine(whole, "folds.jsonl")), RunFiles.Lines(path));
        Assert.Equal(File.ReadAllBytes(Path.Combine(whole, "output", "model.safetensors")), File.ReadAllBytes(Path.Combine(killed, "output", "model.safetensors")));
        // Once, or never when the kill came between the file and the log.
        Assert.InRange(File.ReadAllText(Path.Combine(killed, "log.txt")).Split("Fold 1 of 3").Length - 1, 0, 1);
    }

    [Fact]
    public void Folds_without_validation_rows_are_judged_on_prompts_they_did_not_learn_from()
    {
        object[] rows = Many(60, i => new
        {
            id = $"r{i}",
            labeler = $"l{i % 4}",
            prompt = new[] { new { role = "user", content = $"say {i / 4}" } },
            completions = new[]
            {
                new { completion = new[] { new { role = "assistant", content = "blue" } }, rank = 1 },
                new { completion = new[] { new { role = "assistant", content = "red" } }, rank = 2 },
            },
        });
        var folder = Run("reward-folds-split", new { epochs = 2, batch_size = 8, labeler_folds = 2 }, rows);
        // 15 prompts by four labelers each: one prompt is kept for judging, and half of the labelers are left to learn from.
        Assert.All(Rows(folder, "folds.jsonl"), fold => Assert.Equal(28, fold["rankings"]!.GetValue<int>()));
    }

    [Theory]
    [InlineData("one", 5, "all 8 rankings are by one labeler, 'one'")]
    [InlineData(null, 5, "train.jsonl:1: the ranking does not say who made it")]
    [InlineData("one", 1, "labeler_folds")]
    public void Folds_that_cannot_be_made_are_refused(string? labeler, int folds, string reason)
    {
        var folder = Make($"reward-refused-{labeler}-{folds}", new { labeler_folds = folds }, Many(8, i => Ranking(i, 1, 2, labeler)));
        var (code, _, error) = TrainerProcess.Run("reward", "--run", folder);
        Assert.True(code == 2, error);
        Assert.Contains(reason, error, StringComparison.Ordinal);
    }

    [Fact]
    public void Ties_teach_that_scores_are_equal_when_they_count()
    {
        // One win to three ties on each of the two prompts.
        var rows = Many(32, i => i % 8 < 2 ? Ranking(i, 1, 2) : Ranking(i, 1, 1));
        double Gap(string folder) => Math.Abs(Rows(folder, "scores.jsonl").Chunk(2).Average(pair => pair[0]["score"]!.GetValue<double>() - pair[1]["score"]!.GetValue<double>()));
        var dropped = Run("reward-ties-drop", new { epochs = 40, batch_size = 8, learning_rate = 3e-3 }, rows);
        var half = Run("reward-ties-half", new { epochs = 40, batch_size = 8, learning_rate = 3e-3, ties = "half" }, rows);
        var margin = Run("reward-ties-margin", new { epochs = 40, batch_size = 8, learning_rate = 3e-3, ties = "margin" }, rows);
        // With a quarter of wins and the rest ties, the likeliest difference is log(0.625 / 0.375) = 0.51.
        Assert.InRange(Gap(half), 0.46, 0.56);
        // With a margin of 0.5 it solves σ(0.5 − d) = 0.75 · σ(0.5 + d): d = 0.373.
        Assert.InRange(Gap(margin), 0.33, 0.42);
        Assert.True(Gap(dropped) > 1.5, $"{Gap(dropped)}");
        var onlyTies = Make("reward-only-ties", new { }, Many(8, i => Ranking(i, 1, 1)));
        Assert.Contains("nothing but ties", TrainerProcess.Run("reward", "--run", onlyTies).Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Demonstrations_score_zero_on_average_where_they_are_marked()
    {
        var folder = Run("reward-demonstrations", new { epochs = 4, batch_size = 4 }, Many(16, i => Ranking(i, 1, 2, demonstration: i % 2 == 0)));
        var scores = Rows(folder, "scores.jsonl");
        var marked = scores.Where((row, n) => n % 4 == 1).Select(row => row["score"]!.GetValue<double>()).ToList();
        Assert.Equal(8, marked.Count);
        Assert.Equal(0, marked.Average(), 1e-6);
        Assert.NotEqual(0, scores.Where(row => row["rank"]!.GetValue<int>() == 1).Average(row => row["score"]!.GetValue<double>()), 1e-3);
        Assert.All(scores, row => Assert.False(row.ContainsKey("uncertainty")));
    }

    [Fact]
    public void The_reliability_table_counts_every_comparison_and_agrees_with_the_scores()
    {
        var folder = Run("reward-reliability", new { epochs = 1, batch_size = 4 }, TinyWorld.Rankings(24), TinyWorld.Rankings(10));
        var table = Rows(folder, "reliability.jsonl");
        Assert.Equal(24 * 2, table.Where(b => b["split"]!.GetValue<string>() == "train").Sum(b => b["comparisons"]!.GetValue<int>()));
        var valid = table.Where(b => b["split"]!.GetValue<string>() == "valid").ToList();
        Assert.Equal(10 * 2, valid.Sum(b => b["comparisons"]!.GetValue<int>()));
        Assert.Equal(Metric(folder, "eval/accuracy"), valid.Sum(b => b["comparisons"]!.GetValue<int>() * b["accuracy"]!.GetValue<double>()) / 20, 1e-9);
        Assert.InRange(Metric(folder, "eval/ece"), 0, 1);
    }

    [Fact]
    public void Keeping_the_best_needs_something_to_judge_by()
    {
        var folder = Make("reward-best-of-nothing", new { keep = "best" }, Many(8, i => Ranking(i, 1, 2)));
        var (code, _, error) = TrainerProcess.Run("reward", "--run", folder);
        Assert.True(code == 2, error);
        Assert.Contains("split 'valid'", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_policy_learns_by_an_adapter()
    {
        var reward = Run("reward-for-adapter", new { epochs = 1, batch_size = 4, heads = 2 }, TinyWorld.Rankings(24));
        var ppo = RunFiles.Make(world.Root, "ppo-adapter", "ppo",
            new { episodes = 128, batch_size = 8, num_minibatches = 2, max_new_tokens = 8, checkpoint_every = 3, ema_decay = 0.9, lora_rank = 4 },
            [("train", TinyWorld.Prompts(20))], ("base", "../base/output"), ("reward_model", $"../{Path.GetFileName(reward)}/output"));
        TinyWorld.Finish("ppo", ppo);
        Assert.True(File.Exists(Path.Combine(ppo, "output", "adapter", "adapter_model.safetensors")));
        ResumeTests.Same("ppo", ppo, 2, 8);
        var grpo = RunFiles.Make(world.Root, "grpo-adapter", "grpo",
            new { episodes = 160, prompts_per_batch = 4, micro_batch_size = 3, max_new_tokens = 8, checkpoint_every = 3, lora_rank = 4 },
            [("train", TinyWorld.Prompts(20))], ("base", "../base/output"), ("reward_model", $"../{Path.GetFileName(reward)}/output"));
        TinyWorld.Finish("grpo", grpo);
        Assert.True(File.Exists(Path.Combine(grpo, "output", "adapter", "adapter_model.safetensors")));
        ResumeTests.Same("grpo", grpo, 2, 8);
    }
}
