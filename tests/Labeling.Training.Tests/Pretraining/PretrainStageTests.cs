using System.Text;
using System.Text.Json.Nodes;
using Labeling.Training.Cli.Tests;
using Labeling.Training.Models;
using Labeling.Training.Pretraining;
using Labeling.Training.Runs;
using Labeling.Training.Tests.Runs;
using Labeling.Training.Tokenizers;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Pretraining;

public sealed class PretrainStageTests : IDisposable
{
    private static readonly object Tiny = new { hidden_size = 16, layers = 1, heads = 2, context_length = 16, batch_size = 6, epochs = 2 };
    private readonly StageWorld world = new();

    public void Dispose() => world.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Bits_per_byte_of_a_model_that_knows_nothing(bool special)
    {
        // A final norm of nothing makes all logits 0: every token costs the logarithm of the vocabulary.
        Directory.CreateDirectory(world.In("blank"));
        using (var scope = NewDisposeScope())
        {
            using var policy = CausalLm.Load(world.In("policy"));
            using (no_grad())
            {
                policy.Parameters["transformer.ln_f.weight"].zero_();
            }
            policy.Save(world.In("blank"), world.In("tokenizer"));
        }
        string[] texts = ["café au lait", "日本語 🚀", "<|user|>cat<|assistant|>dog", "cat dog tree house cat dog tree house cat dog tree house", ""];
        var tokenizer = Tokenizer.FromFolder(world.In("tokenizer"));
        var tokens = texts.Sum(t => tokenizer.Encode(t, special).Length);
        var bytes = texts.Sum(Encoding.UTF8.GetByteCount);
        var folder = RunFiles.Make(world.Root, "bpb", "pretrain", new { learning_rate = 0, max_steps = 1, context_length = 16, batch_size = 2, special_tokens_in_text = special },
            [("train", StageWorld.Texts(4)), ("valid", texts.Select(t => new { text = t }))], ("base", "../blank"));
        StageWorld.Start(folder);
        Assert.Equal(Math.Log(tokenizer.VocabSize), StageWorld.Metric(folder, "eval/loss")[0], 1e-5);
        Assert.Equal(tokens * Math.Log2(tokenizer.VocabSize) / bytes, StageWorld.Metric(folder, "eval/bits_per_byte")[0], 1e-4);
    }

    [Fact]
    public void Micro_batches_change_no_number()
    {
        object Settings(int micro) => new { hidden_size = 16, layers = 1, heads = 2, context_length = 16, batch_size = 6, epochs = 2, micro_batch_size = micro };
        var whole = world.Run("whole", "pretrain", Settings(0), ("train", StageWorld.Texts(60)));
        var parts = world.Run("parts", "pretrain", Settings(4), ("train", StageWorld.Texts(60)));
        foreach (var name in new[] { "loss", "grad_norm", "num_tokens" })
        {
            Assert.All(StageWorld.Metric(whole, name).Zip(StageWorld.Metric(parts, name)), pair => Assert.Equal(pair.First, pair.Second, 1e-4 * pair.First));
        }
    }

    [Fact]
    public void Half_precision_follows_full_precision()
    {
        // Widths that the processor's bfloat16 products are made for, on text long enough that rounding shows.
        object Settings(string precision) => new { hidden_size = 64, layers = 2, heads = 4, context_length = 32, batch_size = 8, epochs = 4, precision };
        var full = world.Run("full", "pretrain", Settings("float32"), ("train", StageWorld.Texts(400)), ("valid", StageWorld.Texts(20)));
        var half = world.Run("half", "pretrain", Settings("bfloat16"), ("train", StageWorld.Texts(400)), ("valid", StageWorld.Texts(20)));
        var losses = StageWorld.Metric(full, "loss").Zip(StageWorld.Metric(half, "loss")).ToList();
        Assert.Contains(losses, pair => pair.First != pair.Second);
        Assert.All(losses, pair => Assert.Equal(pair.First, pair.Second, 0.05 * pair.First));
        Assert.True(losses[^1].Second < 0.5 * losses[0].Second, "it learns");
    }

    [Fact]
    public void Files_are_mixed_by_weight_and_the_passes_over_each_are_reported()
    {
        var folder = Mixed("mixed", new { hidden_size = 16, layers = 1, heads = 2, context_length = 16, batch_size = 6, max_steps = 10 }, 3, 1);
        StageWorld.Start(folder);
        // A row of text has 4 to 7 tokens: of 60 windows 45 come from the small file, and its own number of windows follows from the passes.
        var small = StageWorld.Metric(folder, "epochs/small.jsonl");
        var large = StageWorld.Metric(folder, "epochs/large.jsonl");
        var (windowsOfSmall, windowsOfLarge) = (Windows("small"), Windows("large"));
        Assert.True(windowsOfLarge > 3 * windowsOfSmall);
        Assert.Equal(45.0 / windowsOfSmall, small[^1], 1e-9);
        Assert.Equal(15.0 / windowsOfLarge, large[^1], 1e-9);
        Assert.Contains("Mix: small.jsonl", File.ReadAllText(Path.Combine(folder, "log.txt")), StringComparison.Ordinal);
        Assert.Equal(small[^1], RunFiles.Json(folder, "result.json")["metrics"]!["epochs/small.jsonl"]!.GetValue<double>());

        int Windows(string file)
        {
            var tokenizer = Tokenizer.FromFolder(world.In("tokenizer"));
            var tokens = RunFiles.Lines(Path.Combine(folder, "data", file + ".jsonl")).Sum(l => tokenizer.Encode(JsonNode.Parse(l)!["text"]!.GetValue<string>()).Length + 1);
            return (tokens - 1 + 15) / 16;
        }
    }

    [Theory]
    [InlineData("3", null, "has no 'weight'")]
    [InlineData("0", "1", "must be a number above 0")]
    [InlineData("\"much\"", "1", "must be a number above 0")]
    public void Weights_must_be_complete_and_positive(string first, string? second, string problem)
    {
        var folder = Mixed("wrong", Tiny, 1, 1);
        var run = RunFiles.Json(folder, "run.json");
        run["data"]![0]!["weight"] = JsonNode.Parse(first);
        run["data"]![1]!["weight"] = second is null ? null : JsonNode.Parse(second);
        File.WriteAllText(Path.Combine(folder, "run.json"), run.ToJsonString());
        Assert.Contains(problem, Assert.Throws<BadInputException>(() => StageWorld.Start(folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_pre_training_knows_weights()
    {
        var folder = world.Make("sft", "sft", new { }, ("train", StageWorld.Demonstrations(4)));
        var run = RunFiles.Json(folder, "run.json");
        run["data"]![0]!["weight"] = 1;
        File.WriteAllText(Path.Combine(folder, "run.json"), run.ToJsonString());
        Assert.Contains("only training files of 'pretrain'", Assert.Throws<BadInputException>(() => StageWorld.Start(folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Shares_hold_at_any_time_and_a_step_does_not_depend_on_what_was_asked_before()
    {
        static WeightedText Mix() => new(
        [
            new("a", new PackedText([.. Enumerable.Range(0, 5).Select(d => new[] { 1, d, 9 })], 4, 1, 1), 0.6),
            new("b", new PackedText([.. Enumerable.Range(0, 40).Select(d => new[] { 2, d, 9 })], 4, 1, 2), 0.3),
            new("c", new PackedText([.. Enumerable.Range(0, 11).Select(d => new[] { 3, d, 9 })], 4, 1, 3), 0.1),
        ], batchSize: 3);

        var forward = Mix();
        for (var step = 1; step <= 50; step++)
        {
            var windows = forward.Epochs(step).Zip([15 * 1.0, 120, 33], (e, tokens) => (e.Share, Windows: e.Epochs * Math.Ceiling((tokens - 1) / 4))).ToList();
            Assert.Equal(3 * step, windows.Sum(w => w.Windows), 1e-9);
            Assert.All(windows, w => Assert.InRange(w.Windows - (w.Share * 3 * step), -1.001, 1.001));
        }
        var expected = Enumerable.Range(0, 12).Select(s => Mix().Batch(s).SelectMany(w => w.Ids).ToArray()).ToList();
        Assert.Equal(expected, Enumerable.Range(0, 12).Select(s => forward.Batch(s).SelectMany(w => w.Ids).ToArray()));
        Assert.Equal(expected[3], forward.Batch(3).SelectMany(w => w.Ids));
    }

    private string Mixed(string name, object settings, double small, double large)
    {
        var folder = world.Make(name, "pretrain", settings);
        var run = RunFiles.Json(folder, "run.json");
        var files = new JsonArray();
        foreach (var (file, rows, weight) in new[] { ("small", 24, small), ("large", 200, large) })
        {
            File.WriteAllLines(Path.Combine(folder, "data", file + ".jsonl"), StageWorld.Texts(rows).Select(r => System.Text.Json.JsonSerializer.Serialize(r)));
            files.Add(new JsonObject { ["path"] = $"data/{file}.jsonl", ["weight"] = weight });
        }
        run["data"] = files;
        File.WriteAllText(Path.Combine(folder, "run.json"), run.ToJsonString());
        return folder;
    }
}
