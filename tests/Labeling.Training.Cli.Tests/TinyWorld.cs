using System.Text.Json.Nodes;

namespace Labeling.Training.Cli.Tests;

/// <summary>A tokenizer and a tiny base model made by the trainer itself, and data for every stage, shared by the tests of this project.</summary>
[CollectionDefinition(Name)]
public sealed class TinyWorld : IDisposable, ICollectionFixture<TinyWorld>
{
    public const string Name = "tiny world";

    private static readonly string[] Words = ["cat", "dog", "tree", "house", "blue", "red", "stone", "river"];
    private readonly DirectoryInfo root = Directory.CreateTempSubdirectory("labeling-train-tests");

    public TinyWorld()
    {
        var texts = Texts(400);
        var tokenizer = RunFiles.Make(Root, "tokenizer", "tokenizer", new { vocab_size = 300 }, [("train", texts)]);
        Finish("tokenizer", tokenizer);
        BaseRun = RunFiles.Make(Root, "base", "pretrain",
            new { hidden_size = 32, layers = 2, heads = 2, context_length = 32, batch_size = 16, special_tokens_in_text = true, checkpoint_every = 4, max_steps = 48 },
            [("train", texts), ("valid", texts[..20])], ("tokenizer", "../tokenizer/output"));
        Finish("pretrain", BaseRun);
    }

    public string Root => root.FullName;

    /// <summary>The finished pre-training run.</summary>
    public string BaseRun { get; }

    public static object[] Texts(int count) => [.. Enumerable.Range(0, count).Select(i => (object)new { text = $"<|user|>{Question(i)}<|assistant|>{Answer(i + (i % 3))}" })];

    public static object[] Demonstrations(int count) => [.. Enumerable.Range(0, count).Select(i => (object)new { id = $"d{i}", prompt = User(i), completion = Assistant(Answer(i)) })];

    public static object[] Prompts(int count) => [.. Enumerable.Range(0, count).Select(i => (object)new { id = $"p{i}", prompt = User(i) })];

    public static object[] Rankings(int count, int from = 0) => [.. Enumerable.Range(from, count).Select(i => (object)new
    {
        id = $"r{i}",
        labeler = "one",
        prompt = User(i),
        completions = new[]
        {
            new { id = "a", completion = Assistant(Answer(i)), rank = 1 },
            new { id = "b", completion = Assistant(Answer(i + 1)), rank = 2 },
            new { id = "c", completion = Assistant("river river"), rank = 2 },
        },
    })];

    /// <summary>Pre-training on two files that are mixed by weight.</summary>
    public string Pretrain(string name)
    {
        var folder = RunFiles.Make(Root, name, "pretrain",
            new { hidden_size = 32, layers = 2, heads = 2, context_length = 32, batch_size = 8, micro_batch_size = 3, special_tokens_in_text = true, checkpoint_every = 2, max_steps = 60, eval_every = 7 },
            [("train", Texts(200)), ("valid", Texts(20))], ("tokenizer", "../tokenizer/output"));
        File.WriteAllLines(Path.Combine(folder, "data", "more.jsonl"), RunFiles.Lines(Path.Combine(folder, "data", "train.jsonl")).Take(40));
        var run = RunFiles.Json(folder, "run.json");
        run["data"]![0]!["weight"] = 1;
        run["data"]!.AsArray().Add(new JsonObject { ["path"] = "data/more.jsonl", ["weight"] = 2 });
        File.WriteAllText(Path.Combine(folder, "run.json"), run.ToJsonString());
        return folder;
    }

    public string Sft(string name) => RunFiles.Make(Root, name, "sft", new { epochs = 8, batch_size = 8, checkpoint_every = 4 },
        [("train", Demonstrations(48)), ("valid", Demonstrations(8))], ("base", "../base/output"));

    public string Reward(string name, string sft) => RunFiles.Make(Root, name, "reward", new { epochs = 4, batch_size = 4, checkpoint_every = 4 },
        [("train", Rankings(48)), ("valid", Rankings(8))], ("base", $"../{sft}/output"));

    public string Sample(string name, string sft) => RunFiles.Make(Root, name, "sample", new { answers_per_prompt = 3, max_new_tokens = 8, batch_size = 6 },
        [("train", Prompts(40))], ("models", new JsonArray(new JsonObject { ["id"] = "sft", ["path"] = $"../{sft}/output" }, new JsonObject { ["id"] = "base", ["path"] = "../base/output" })));

    /// <summary>PPO with everything on that it carries from step to step.</summary>
    public string Ppo(string name, string sft, string reward) => RunFiles.Make(Root, name, "ppo",
        new
        {
            episodes = 320,
            batch_size = 8,
            num_minibatches = 2,
            micro_batch_size = 3,
            ppo_epochs = 2,
            max_new_tokens = 8,
            checkpoint_every = 2,
            learning_rate_schedule = "linear",
            kl_controller = "adaptive",
            kl_target = 0.01,
            kl_horizon = 100,
            ema_decay = 0.9,
            score_normalization = "running",
            ptx_examples_per_episode = 2,
            tf_adam_epsilon = true,
        },
        [("train", Prompts(20)), ("pretrain", [.. Texts(30), .. Demonstrations(10)])], ("base", $"../{sft}/output"), ("reward_model", $"../{reward}/output"));

    /// <summary>Learns from the first 16 prompts and is tried on the other 8.</summary>
    public string Dpo(string name, string sft, string loss = "dpo", int epochs = 8) => RunFiles.Make(Root, name, "dpo", new { loss, epochs, batch_size = 8, learning_rate = 1e-3, checkpoint_every = 4 },
        [("train", Rankings(16)), ("valid", Rankings(8, 16))], ("base", $"../{sft}/output"));

    /// <summary>As <see cref="Dpo"/>.</summary>
    public string Kto(string name, string sft, int epochs = 8) => RunFiles.Make(Root, name, "kto", new { epochs, batch_size = 8, learning_rate = 1e-3, checkpoint_every = 4 },
        [("train", Rankings(16)), ("valid", Rankings(8, 16))], ("base", $"../{sft}/output"));

    public string Group(string name, string stage, string sft, string reward, int episodes) => RunFiles.Make(Root, name, stage,
        new { episodes, prompts_per_batch = 8, answers_per_prompt = 4, num_minibatches = 2, micro_batch_size = 6, max_new_tokens = 8, learning_rate = 1e-3, checkpoint_every = 4 },
        [("train", Prompts(20))], ("base", $"../{sft}/output"), ("reward_model", $"../{reward}/output"));

    public string BestOf(string name, string sft, string reward) => RunFiles.Make(Root, name, "best-of-n", new { answers_per_prompt = 8, max_new_tokens = 8, batch_size = 8, checkpoint_every = 3 },
        [("train", Prompts(20))], ("base", $"../{sft}/output"), ("reward_model", $"../{reward}/output"));

    /// <summary>Choices between the right answer, that to the next question, and nonsense, as turns of a chat.</summary>
    public string Questions(string name, string sft, int batchSize, int shots) => RunFiles.Make(Root, name, "evaluate", new { task = "few_shot", format = "chat", shots, batch_size = batchSize, checkpoint_every = 3 },
        [("train", Questions(0, 24)), ("valid", Questions(3, 48))], ("base", $"../{sft}/output"));

    public static object[] Questions(int from, int count) => [.. Enumerable.Range(from, count).Select(i => (object)new { id = $"q{i}", question = Question(i), choices = new[] { "river river", Answer(i), Answer(i + 1) }, answer = Answer(i) })];

    /// <summary>Names of a finished SFT run and of a reward model on it, made once for all tests that only start from them.</summary>
    public (string Sft, string Reward) SftAndReward()
    {
        if (!Directory.Exists(Path.Combine(Root, "shared-reward")))
        {
            Finish("sft", Sft("shared-sft"));
            Finish("reward", Reward("shared-reward", "shared-sft"));
        }
        return ("shared-sft", "shared-reward");
    }

    public static void Finish(string stage, string folder)
    {
        var (code, _, error) = TrainerProcess.Run(stage, "--run", folder);
        Assert.True(code == 0, $"{stage} ended with {code}: {error}");
    }

    public void Dispose() => root.Delete(recursive: true);

    private static string Question(int i) => $"say {Words[i % 8]} {Words[i * 5 / 3 % 8]}";

    private static string Answer(int i) => $"{Words[i % 8]} {Words[i * 5 / 3 % 8]}";

    private static object[] User(int i) => [new { role = "user", content = Question(i) }];

    private static object[] Assistant(string text) => [new { role = "assistant", content = text }];
}
