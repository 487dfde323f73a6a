using System.Text.Json.Nodes;
using Labeling.Training.Cli.Tests;
using Labeling.Training.Models;
using Labeling.Training.Tokenizers;

namespace Labeling.Benchmarks;

/// <summary>A tokenizer, a random policy and a random reward model of 4x128, and rows whose lengths differ widely.</summary>
internal sealed class MemoryWorld : IDisposable
{
    private const int Context = 64;
    private const int Rows = 320;

    private static readonly string[] Words = ["cat", "dog", "tree", "house", "blue", "red", "stone", "river"];
    private readonly DirectoryInfo root = Directory.CreateTempSubdirectory("labeling-memory-");

    public MemoryWorld()
    {
        BpeTrainer.Train([.. Enumerable.Range(0, 512).Select(i => Text(i, 1 + (i % 20)))], 512).Save(In("tokenizer"));
        var tokenizer = Tokenizer.FromFolder(In("tokenizer"));
        using var policy = CausalLm.New(ModelConfig.Gpt2(tokenizer.VocabSize, 128, 4, 4, Context, tokenizer.EosId, tokenizer.PadId), seed: 1);
        policy.Save(In("policy"), In("tokenizer"));
        using var reward = RewardModel.From(policy, 2);
        reward.Save(In("reward"), In("tokenizer"));
    }

    /// <summary>A run folder of a stage with data for it.</summary>
    public string Make(string name, string stage, object hyperparameters)
    {
        (string Split, IEnumerable<object> Rows)[] data = stage switch
        {
            "pretrain" => [("train", Texts(0, Rows)), ("valid", Texts(Rows, 32))],
            "sft" => [("train", Demonstrations(0, Rows)), ("valid", Demonstrations(Rows, 32)), ("pretrain", Texts(0, Rows))],
            "ppo" => [("train", Prompts(Rows)), ("pretrain", Texts(0, Rows))],
            "grpo" or "rloo" => [("train", Prompts(Rows))],
            _ => [("train", Rankings(0, Rows)), ("valid", Rankings(Rows, 32))],
        };
        (string, JsonNode)[] more = stage == "pretrain" ? [("tokenizer", "../tokenizer"), ("threads", 0)] : [("base", "../policy"), ("reward_model", "../reward"), ("threads", 0)];
        return RunFiles.Make(root.FullName, name, stage, hyperparameters, data, more);
    }

    public void Dispose() => root.Delete(recursive: true);

    private string In(string name) => Path.Combine(root.FullName, name);

    private static object[] Many(int from, int count, Func<int, object> row) => [.. Enumerable.Range(from, count).Select(row)];

    private static object[] Texts(int from, int count) => Many(from, count, i => new { text = Text(i, 1 + (i * 7 % 20)) });

    private static object[] Prompts(int count) => Many(0, count, i => new { id = $"p{i}", prompt = User(i) });

    private static object[] Demonstrations(int from, int count) => Many(from, count, i => new { prompt = User(i), completion = Assistant(i) });

    private static object[] Rankings(int from, int count) => Many(from, count, i => new
    {
        id = $"r{i}",
        prompt = User(i),
        completions = Enumerable.Range(0, 3).Select(k => new { id = $"{k}", completion = Assistant(i + k), rank = k + 1 }),
    });

    private static object[] User(int i) => [new { role = "user", content = Text(i, 1 + (i * 3 % 17)) }];

    private static object[] Assistant(int i) => [new { role = "assistant", content = Text(i * 5, 1 + (i * 7 % 23)) }];

    private static string Text(int i, int words)
    {
        var random = new Random(i);
        return string.Join(' ', Enumerable.Range(0, words).Select(_ => Words[random.Next(Words.Length)]));
    }
}
