using System.Globalization;
using System.Text.Json.Nodes;
using Labeling.Training.Cli.Tests;
using Labeling.Training.Models;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;

namespace Labeling.Benchmarks;

/// <summary>
/// Where the time of a PPO step goes, as the stage itself tells in metrics.jsonl: 64 answers of up to 64 tokens, two minibatches, a
/// checkpoint every third step. Generation, scoring and learning are work of the models; at least 85 % is wanted there.
/// </summary>
internal static class PpoBenchmark
{
    private const int Batch = 64;
    private const int Steps = 7;

    private static readonly (string Name, int Hidden, int Layers, int Heads)[] Policies = [("starter 4x160", 160, 4, 5), ("small 6x256", 256, 6, 8)];

    private static readonly (string Phase, string Meaning)[] Phases =
    [
        ("generate", "generation"),
        ("score", "scoring: policy, reference, reward and value model"),
        ("learn", "learning: forward and backward"),
        ("optimize", "optimizer"),
        ("credit", "checks, rewards and advantages"),
        ("other", "metrics, files, checkpoints"),
    ];

    public static IEnumerable<Measurement> Run(string only)
    {
        foreach (var (name, hidden, layers, heads) in Policies.Where(p => p.Name.Contains(only, StringComparison.OrdinalIgnoreCase)))
        {
            var root = Directory.CreateTempSubdirectory("labeling-benchmark-");
            try
            {
                var rows = RunFiles.Lines(Path.Combine(Train(root.FullName, hidden, layers, heads), "metrics.jsonl")).Select(l => JsonNode.Parse(l)!).Skip(1).ToList();
                double Mean(string phase) => 1000 * rows.Average(r => r["timing/" + phase]!.GetValue<double>());
                var step = Mean("step");
                yield return new($"{name}, step", step, Batch / step * 1000, "answers/s");
                foreach (var (phase, meaning) in Phases) yield return new($"{name}, {meaning}", Mean(phase), 100 * Mean(phase) / step, "%");
                var models = Phases.Take(3).Sum(p => Mean(p.Phase));
                yield return new($"{name}, generation, scoring and learning", models, 100 * models / step, "%", null, "at least 85 % is wanted");
            }
            finally
            {
                root.Delete(recursive: true);
            }
        }
    }

    /// <summary>Runs the stage on a random policy and a random reward model; returns the run folder.</summary>
    private static string Train(string root, int hidden, int layers, int heads)
    {
        string In(string name) => Path.Combine(root, name);
        var text = string.Concat(TokenizerBenchmark.Texts(200_000)).Replace('\n', ' ');
        BpeTrainer.Train([text], 640).Save(In("tokenizer"));
        var tokenizer = Tokenizer.FromFolder(In("tokenizer"));
        using (var policy = CausalLm.New(ModelConfig.GptNeoX(tokenizer.VocabSize, hidden, layers, heads, 512, tokenizer.EosId, tokenizer.PadId), seed: 1))
        using (var reward = RewardModel.From(policy, seed: 2))
        {
            policy.Save(In("policy"), In("tokenizer"));
            reward.Save(In("reward"), In("tokenizer"));
        }
        var prompts = Enumerable.Range(0, 256).Select(i => (object)new
        {
            id = i.ToString(CultureInfo.InvariantCulture),
            prompt = new[] { new { role = "user", content = text.Substring(i * 97, 40 + i % 40) } },
        });
        var folder = RunFiles.Make(root, "run", "ppo", new { episodes = Steps * Batch, batch_size = Batch, num_minibatches = 2, max_new_tokens = 64, checkpoint_every = 3 },
            [("train", prompts)], ("base", "../policy"), ("reward_model", "../reward"), ("threads", 0));
        using var run = new RunFolder(folder);
        Stages.Run(run);
        return folder;
    }
}
