using Labeling.Training.Checkpoints;
using Labeling.Training.Cli.Tests;
using Labeling.Training.Models;
using Labeling.Training.Tests.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Ppo;

/// <summary>PPO through the door of its stage, on a random model.</summary>
public sealed class PpoStageTests : IDisposable
{
    private readonly StageWorld world = new();

    public void Dispose() => world.Dispose();

    [Fact]
    public void Micro_batches_change_no_number()
    {
        var whole = world.Ppo("whole", new { episodes = 24, batch_size = 12, max_new_tokens = 6, learning_rate = 1e-3 });
        var parts = world.Ppo("parts", new { episodes = 24, batch_size = 12, max_new_tokens = 6, learning_rate = 1e-3, micro_batch_size = 4 });
        foreach (var name in new[] { "loss/policy_avg", "loss/value_avg", "policy/approxkl_avg", "policy/entropy_avg", "policy/grad_norm", "val/grad_norm", "val/ratio", "val/ratio_var", "ppo/val/error", "objective/kl" })
        {
            foreach (var (a, b) in StageWorld.Metric(whole, name).Zip(StageWorld.Metric(parts, name)))
            {
                Assert.True(Math.Abs(a - b) <= 1e-6 + (1e-3 * Math.Abs(a)), $"{name}: {a} and {b}");
            }
        }
    }

    [Fact]
    public void The_phases_of_a_step_add_up_to_it_and_the_steps_to_no_more_than_the_run()
    {
        var start = System.Diagnostics.Stopwatch.GetTimestamp();
        var folder = world.Ppo("timed", new { episodes = 24, batch_size = 8, max_new_tokens = 6, checkpoint_every = 1 });
        var run = System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds;
        var steps = StageWorld.Metric(folder, "timing/step");
        string[] phases = ["generate", "score", "credit", "learn", "optimize", "other"];
        var sums = phases.Select(phase => StageWorld.Metric(folder, "timing/" + phase)).Aggregate((a, b) => [.. a.Zip(b, (x, y) => x + y)]);
        Assert.Equal(3, steps.Length);
        Assert.All(steps.Zip(sums), pair => Assert.Equal(pair.First, pair.Second, 1e-9));
        Assert.All(phases, phase => Assert.All(StageWorld.Metric(folder, "timing/" + phase), seconds => Assert.True(seconds > 0)));
        Assert.True(steps.Sum() < run);
    }

    [Fact]
    public void The_moving_average_is_that_of_the_policy_after_each_batch_and_is_what_is_saved()
    {
        const double decay = 0.8;
        using var scope = NewDisposeScope();
        object Settings(double ema) => new { episodes = 24, batch_size = 8, max_new_tokens = 6, learning_rate = 1e-3, checkpoint_every = 1, ema_decay = ema };
        var averaged = world.Ppo("ema", Settings(decay));
        var plain = world.Ppo("plain", Settings(0));
        using var start = CausalLm.Load(world.In("policy"));
        using var last = CausalLm.Load(Path.Combine(plain, "output"));
        using var saved = CausalLm.Load(Path.Combine(averaged, "output"));
        using var first = SafetensorsFile.Open(Path.Combine(averaged, "checkpoints", "step-1", "tensors.safetensors"));
        using var second = SafetensorsFile.Open(Path.Combine(averaged, "checkpoints", "step-2", "tensors.safetensors"));
        foreach (var name in start.Parameters.Keys)
        {
            var expected = start.Parameters[name].detach();
            foreach (var policy in new[] { first.Read("policy/" + name), second.Read("policy/" + name), last.Parameters[name].detach() })
            {
                expected = (expected * decay) + (policy * (1 - decay));
            }
            Assert.True(expected.allclose(saved.Parameters[name], 1e-5, 1e-6), name);
            Assert.False(saved.Parameters[name].equal(last.Parameters[name]).all().ToBoolean(), name);
        }
    }

    [Fact]
    public void Mixed_in_text_is_learned_and_without_rows_nothing_is_mixed_in()
    {
        object Settings(double weight) => new { episodes = 240, batch_size = 8, max_new_tokens = 4, learning_rate = 3e-3, warmup_batches = 0, ptx_coefficient = weight, ptx_examples_per_episode = 2 };
        var mixed = StageWorld.Metric(world.Ppo("mixed", Settings(1), ("pretrain", StageWorld.Texts(64))), "loss/ptx_avg");
        // A random model knows nothing of text: ln(290).
        Assert.Equal(Math.Log(290), mixed[0], 0.1);
        Assert.True(mixed[^1] < 0.75 * mixed[0], $"{mixed[0]} to {mixed[^1]}");
        Assert.DoesNotContain("ptx", File.ReadAllText(Path.Combine(world.Ppo("none", Settings(1)), "metrics.jsonl")), StringComparison.Ordinal);
        Assert.DoesNotContain("ptx", File.ReadAllText(Path.Combine(world.Ppo("off", Settings(0), ("pretrain", StageWorld.Texts(8))), "metrics.jsonl")), StringComparison.Ordinal);
    }

    [Fact]
    public void Demonstrations_can_be_mixed_in_beside_text()
    {
        var folder = world.Ppo("both", new { episodes = 8, batch_size = 8, max_new_tokens = 4 }, ("pretrain", [.. StageWorld.Texts(8), .. StageWorld.Demonstrations(8)]));
        Assert.Equal(Math.Log(290), StageWorld.Metric(folder, "loss/ptx_avg")[0], 0.1);
    }

    [Fact]
    public void Running_normalisation_takes_the_first_batch_to_mean_zero()
    {
        var folder = world.Ppo("running", new { episodes = 32, batch_size = 16, max_new_tokens = 6, score_normalization = "running", missing_eos_penalty = 0, score_clip = 0 });
        Assert.Equal(0, StageWorld.Metric(folder, "objective/scores")[0], 1e-5);
        Assert.NotEqual(0, StageWorld.Metric(folder, "objective/scores")[1], 1e-5);
    }

    [Fact]
    public void Reference_normalisation_uses_one_mean_and_deviation_throughout()
    {
        var folder = world.Ppo("reference", new { episodes = 48, batch_size = 16, max_new_tokens = 6, score_normalization = "reference", missing_eos_penalty = 0, score_clip = 0, learning_rate = 5e-3 });
        var scores = StageWorld.Metric(folder, "objective/scores");
        var raw = StageWorld.Metric(folder, "objective/model_scores");
        // Two batches give the line, the third lies on it.
        var gain = (scores[1] - scores[0]) / (raw[1] - raw[0]);
        Assert.Equal(scores[0] + (gain * (raw[2] - raw[0])), scores[2], 1e-3);
        Assert.True(gain > 0);
        // Batches of the untouched policy are draws from what was measured: their mean is within 4 standard errors of 0.
        Assert.InRange(scores[0], -1, 1);
        Assert.Contains("over 256 answers", File.ReadAllText(Path.Combine(folder, "log.txt")), StringComparison.Ordinal);
    }

    [Fact]
    public void The_rate_rises_from_a_tenth_and_then_stays_or_falls_to_nothing()
    {
        object Settings(string schedule) => new { episodes = 48, batch_size = 4, max_new_tokens = 2, learning_rate = 1e-3, warmup_batches = 2, learning_rate_schedule = schedule };
        double[] rise = [0.55e-3, 1e-3];
        Assert.Equal([.. rise, .. Enumerable.Repeat(1e-3, 10)], StageWorld.Metric(world.Ppo("constant", Settings("constant")), "lr").Select(r => Math.Round(r, 9)));
        Assert.Equal([.. rise, .. Enumerable.Range(0, 10).Select(i => Math.Round(1e-3 * (10 - i) / 10, 9))], StageWorld.Metric(world.Ppo("linear", Settings("linear")), "lr").Select(r => Math.Round(r, 9)));
    }

    [Fact]
    public void TensorFlows_epsilon_moves_less_in_the_first_step()
    {
        double Moved(bool tf)
        {
            using var scope = NewDisposeScope();
            using var before = CausalLm.Load(world.In("policy"));
            using var after = CausalLm.Load(Path.Combine(world.Ppo($"tf-{tf}", new { episodes = 8, batch_size = 8, num_minibatches = 1, max_new_tokens = 6, adam_epsilon = 1e-2, tf_adam_epsilon = tf }), "output"));
            return before.Parameters.Sum(p => (p.Value - after.Parameters[p.Key]).abs().sum().ToDouble());
        }

        // At the first step the form is the same with epsilon divided by sqrt(1 - 0.95).
        Assert.InRange(Moved(true) / Moved(false), 1 / Math.Sqrt(20), 0.9);
    }

    [Fact]
    public void A_policy_that_went_too_far_ends_the_run_early_with_a_reason()
    {
        var folder = world.Ppo("stopped", new { episodes = 160, batch_size = 8, max_new_tokens = 8, learning_rate = 1e-2, warmup_batches = 0, kl_coefficient = 0, kl_stop = 0.5 });
        var kl = StageWorld.Metric(folder, "objective/kl");
        Assert.InRange(kl.Length, 2, 19);
        Assert.True(kl[^1] > 0.5);
        Assert.All(kl[..^1], k => Assert.True(k <= 0.5));
        Assert.Equal(kl.Length, RunFiles.Json(folder, "result.json")["steps"]!.GetValue<int>());
        Assert.Contains("above kl_stop = 0.5", File.ReadAllText(Path.Combine(folder, "log.txt")), StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(folder, "output", "model.safetensors")));
    }

    [Fact]
    public void Lengths_and_ends_are_counted_over_answers()
    {
        var folder = world.Ppo("counts", new { episodes = 12, batch_size = 12, max_new_tokens = 6, rollouts_logged = 12 });
        var rows = RunFiles.Lines(Path.Combine(folder, "rollouts.jsonl")).Select(l => System.Text.Json.Nodes.JsonNode.Parse(l)!).ToList();
        var lengths = rows.Select(r => (double)r["tokens"]!.AsArray().Count).ToList();
        Assert.Equal(lengths.Min(), StageWorld.Metric(folder, "completions/min_length")[0]);
        Assert.Equal(lengths.Max(), StageWorld.Metric(folder, "completions/max_length")[0]);
        Assert.Equal(lengths.Average(), StageWorld.Metric(folder, "completions/mean_length")[0], 1e-9);
        Assert.Equal(rows.Count(r => r["finish_reason"]!.GetValue<string>() == "length") / 12.0, StageWorld.Metric(folder, "completions/clipped_ratio")[0], 1e-9);
        var values = rows.SelectMany(r => r["values"]!.AsArray().Select(v => v!.GetValue<double>())).ToList();
        Assert.Equal(values.Average(), StageWorld.Metric(folder, "ppo/val/mean")[0], 1e-6);
        Assert.Equal(rows.Average(r => r["log_probs"]!.AsArray().Sum(p => -p!.GetValue<double>())), StageWorld.Metric(folder, "objective/entropy")[0], 1e-5);
    }
}
