using System.Text.Json.Nodes;
using Labeling.Training.Cli.Tests;
using Labeling.Training.Models;
using Labeling.Training.Native;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Tests.Runs;

/// <summary>A tokenizer, a random policy and a random reward model, and stages run on them in this process.</summary>
internal sealed class StageWorld : IDisposable
{
    private static readonly string[] Words = ["cat", "dog", "tree", "house", "blue", "red", "stone", "river"];
    private readonly DirectoryInfo root = Directory.CreateTempSubdirectory("labeling-stages");

    public StageWorld()
    {
        LibTorch.Initialize();
        BpeTrainer.Train([.. Enumerable.Range(0, 64).Select(Text)], 290).Save(In("tokenizer"));
        var tokenizer = Tokenizer.FromFolder(In("tokenizer"));
        using var policy = CausalLm.New(ModelConfig.Gpt2(tokenizer.VocabSize, 16, 1, 2, 48, tokenizer.EosId, tokenizer.PadId), 1);
        policy.Save(In("policy"), In("tokenizer"));
        using var reward = RewardModel.From(policy, 2);
        reward.Save(In("reward"), In("tokenizer"));
    }

    public string Root => root.FullName;

    public string In(string name) => Path.Combine(root.FullName, name);

    public static string Text(int i) => $"{Words[i % 8]} {Words[i * 5 / 3 % 8]} {Words[i * 3 / 2 % 8]}";

    public static object[] Texts(int count) => [.. Enumerable.Range(0, count).Select(i => (object)new { text = Text(i) })];

    public static object[] Prompts(int count) => [.. Enumerable.Range(0, count).Select(i => (object)new { id = $"p{i}", prompt = User(i) })];

    public static object[] Demonstrations(int count) => [.. Enumerable.Range(0, count).Select(i => (object)new { prompt = User(i), completion = Assistant(Text(i)) })];

    public static object[] Rankings(int count) => [.. Enumerable.Range(0, count).Select(i => (object)new
    {
        prompt = User(i),
        completions = new[] { new { completion = Assistant(Text(i)), rank = 1 }, new { completion = Assistant(Text(i + 1)), rank = 2 } },
    })];

    /// <summary>A run folder that is not started yet.</summary>
    public string Make(string name, string stage, object hyperparameters, params (string Split, IEnumerable<object> Rows)[] data)
    {
        (string, JsonNode)[] more = stage switch
        {
            "pretrain" => [("tokenizer", "../tokenizer")],
            "ppo" => [("base", "../policy"), ("reward_model", "../reward")],
            "filter" or "dedup" => [],
            _ => [("base", "../policy")],
        };
        return RunFiles.Make(Root, name, stage, hyperparameters, data, more);
    }

    /// <summary>Makes and finishes a run; returns its folder.</summary>
    public string Run(string name, string stage, object hyperparameters, params (string Split, IEnumerable<object> Rows)[] data)
    {
        var folder = Make(name, stage, hyperparameters, data);
        Start(folder);
        return folder;
    }

    /// <summary>A PPO run on twelve prompts, with more data when given.</summary>
    public string Ppo(string name, object hyperparameters, params (string Split, IEnumerable<object> Rows)[] more) =>
        Run(name, "ppo", hyperparameters, [("train", Prompts(12)), .. more]);

    /// <summary>Starts a run folder in this process.</summary>
    public static void Start(string folder)
    {
        using var run = new RunFolder(folder);
        Stages.Run(run);
    }

    /// <summary>One metric, step by step.</summary>
    public static double[] Metric(string folder, string name) => [.. RunFiles.Lines(Path.Combine(folder, "metrics.jsonl")).Select(l => JsonNode.Parse(l)![name]!.GetValue<double>())];

    private static object[] User(int i) => [new { role = "user", content = $"say {Text(i)}" }];

    private static object[] Assistant(string text) => [new { role = "assistant", content = text }];

    public void Dispose() => root.Delete(recursive: true);
}
