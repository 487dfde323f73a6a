using System.Text.Json;
using Labeling.Training.Cli.Tests;

namespace Labeling.Benchmarks;

/// <summary>
/// Resident memory of every stage that takes steps, as labeling-train reports it after each step, on rows whose lengths differ widely: that after step 1,000 against
/// that after step 50, each as the greatest of the ten steps up to there. The limit is growth by 2 %.
/// </summary>
internal static class MemoryBenchmark
{
    private const int Early = 50;
    private const int Late = 1000;

    private static readonly (string Name, string Stage, object Hyperparameters)[] Cases =
    [
        ("pretrain", "pretrain", new { hidden_size = 128, layers = 4, heads = 4, context_length = 64, batch_size = 8, max_steps = Late, epochs = 10_000 }),
        ("sft", "sft", new { batch_size = 16, epochs = 50 }),
        ("sft, bfloat16 and text mixed in", "sft", new { batch_size = 16, epochs = 50, precision = "bfloat16", pretraining_mix = 0.1 }),
        ("sft, packed with micro-batches, adapter and dropout", "sft", new { batch_size = 16, epochs = 50, packing = true, micro_batch_size = 8, lora_rank = 8, lora_dropout = 0.05, dropout = 0.1 }),
        ("reward", "reward", new { batch_size = 8, epochs = 25 }),
        ("ppo", "ppo", new { episodes = 8 * Late, batch_size = 8, max_new_tokens = 8 }),
        ("dpo", "dpo", new { batch_size = 8, epochs = 25 }),
        ("kto", "kto", new { batch_size = 16, epochs = 25 }),
        ("grpo", "grpo", new { episodes = 8 * Late, prompts_per_batch = 2, answers_per_prompt = 4, max_new_tokens = 8 }),
        ("rloo", "rloo", new { episodes = 8 * Late, prompts_per_batch = 2, answers_per_prompt = 4, max_new_tokens = 8 }),
    ];

    private static readonly JsonSerializerOptions SnakeCase = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private sealed record Held(int Step, DateTime Time, double ResidentMb, double ManagedMb, long LiveTensors);

    public static IEnumerable<Measurement> Run(string only)
    {
        using var world = new MemoryWorld();
        foreach (var (name, stage, hyperparameters) in Cases.Where(c => c.Name.Contains(only, StringComparison.OrdinalIgnoreCase)))
        {
            var folder = world.Make(name, stage, hyperparameters);
            var report = Path.Combine(folder, "resources.jsonl");
            using var trainer = new TrainerProcess(stage, "--run", folder, "--resources", report);
            var (code, _, error) = trainer.Wait(TimeSpan.FromMinutes(10));
            if (code != 0)
            {
                throw new InvalidOperationException($"{stage} ended with {code}: {error}");
            }
            var held = RunFiles.Lines(report).Select(line => JsonSerializer.Deserialize<Held>(line, SnakeCase)!).ToDictionary(h => h.Step);
            List<Held> Upto(int step) => [.. Enumerable.Range(step - 9, 10).Select(s => held[s])];
            var (early, late) = (Upto(Early), Upto(Late));
            var (before, after) = (early.Max(h => h.ResidentMb), late.Max(h => h.ResidentMb));
            var milliseconds = (late[^1].Time - early[^1].Time).TotalMilliseconds / (Late - Early);
            yield return new($"{name}: growth from step {Early} to {Late}", milliseconds, 100 * (after / before - 1), "%", (after / before - 1) / 0.02,
                $"{before:0.0} MB at step {Early}, managed {early.Max(h => h.ManagedMb):0.0} to {late.Max(h => h.ManagedMb):0.0} MB");
            yield return new($"{name}: live tensors more", milliseconds, late[^1].LiveTensors - early[^1].LiveTensors, "tensors");
        }
    }
}
