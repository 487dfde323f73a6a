using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Labeling.Training.Evaluation;
using Labeling.Training.Models;
using Labeling.Training.Native;
using Labeling.Training.Runs;
using Labeling.Training.Sampling;
using Labeling.Training.Tokenizers;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Evaluation;

/// <summary>The stage on a model whose weights are all zero: every token has probability 1/V, so every number is known.</summary>
public sealed class EvaluateStageTests : IDisposable
{
    private const int Context = 48;

    private readonly DirectoryInfo root = Directory.CreateTempSubdirectory("evaluate");
    private readonly Tokenizer tokenizer;
    private readonly string model;

    public EvaluateStageTests()
    {
        LibTorch.Initialize();
        model = Path.Combine(root.FullName, "model");
        BpeTrainer.Train(["hello world hello world", "say yes say no", "Question: Answer: Question: Answer:"], 300).Save(model);
        tokenizer = Tokenizer.FromFolder(model);
        SaveZeros(model, tokenizer.VocabSize);
    }

    public void Dispose() => root.Delete(recursive: true);

    [Fact]
    public void Likelihood_of_a_uniform_model_is_the_vocabulary_size()
    {
        var texts = new[] { "hello world", "say yes", string.Concat(Enumerable.Repeat("hello wörld, say no. ", 20)) };
        var result = Run("likelihood", new { batch_size = 2 }, [.. texts.Select(text => (object)new { text }), new { messages = new[] { Message("user", "hello"), Message("assistant", "say yes") } }]);
        var tokens = texts.Sum(t => tokenizer.Encode(t).Length);
        var nats = Math.Log(tokenizer.VocabSize);
        Assert.True(tokenizer.Encode(texts[2]).Length > 2 * Context);
        // The end token of each text is predicted too, but is no text.
        Assert.Equal(tokens + 3, result["text/num_tokens"]);
        Assert.Equal(nats, result["text/loss"], 1e-4);
        Assert.Equal(tokenizer.VocabSize, result["text/perplexity"], 0.05);
        Assert.Equal(tokens * nats / Math.Log(2) / texts.Sum(Encoding.UTF8.GetByteCount), result["text/bits_per_byte"], 1e-4);
        Assert.Equal(nats, result["demonstrations/loss"], 1e-4);
        Assert.Equal(tokenizer.Encode("say yes").Length * nats / Math.Log(2) / 7, result["demonstrations/bits_per_byte"], 1e-4);
    }

    [Fact]
    public void Windows_predict_every_token_but_the_first_exactly_once()
    {
        var windows = Likelihood.Windows([.. Enumerable.Range(0, 11)], 4);
        Assert.Equal([[0, 1, 2, 3, 4], [4, 5, 6, 7, 8], [8, 9, 10]], windows.Select(w => w.Ids));
        Assert.All(windows, w => Assert.Equal(1, w.From));
        Assert.Equal([0, 1, 2, 3, 4], Assert.Single(Likelihood.Windows([0, 1, 2, 3, 4], 4)).Ids);
    }

    [Theory]
    [InlineData("text")]
    [InlineData("chat")]
    public void Choices_are_scored_as_sum_per_token_and_against_their_unconditional_score(string format)
    {
        const string longer = "say no hello world";
        Assert.True(tokenizer.Encode(" " + longer).Length > tokenizer.Encode(" yes").Length);
        var result = Run("few_shot", new { format }, [
            new { id = "short first", question = "hello?", choices = new[] { "yes", longer }, answer = 0 },
            new { id = "short last", question = "hello?", choices = new[] { longer, "yes" }, answer = "yes" }]);
        // The sum favours the shorter text; the others see no difference and take the first.
        Assert.Equal(1, result["accuracy/sum"]);
        Assert.Equal(0.5, result["accuracy/per_token"]);
        Assert.Equal(0.5, result["accuracy/unconditional"]);
        Assert.Equal(0.5, result["accuracy/chance"]);
        foreach (var item in Items())
        {
            var (sums, tokens) = (item["log_probs"]!.AsArray(), item["tokens"]!.AsArray());
            Assert.Equal(-Math.Log(tokenizer.VocabSize) * tokens[0]!.GetValue<int>(), sums[0]!.GetValue<float>(), 1e-3);
            Assert.Equal(item["unconditional"]!.ToJsonString(), sums.ToJsonString());
        }
    }

    [Fact]
    public void Examples_are_other_questions_and_as_many_as_fit()
    {
        var rows = Enumerable.Range(0, 12).Select(i => (object)new { question = $"say {i}", answer = i.ToString(CultureInfo.InvariantCulture) }).ToArray();
        Run("few_shot", new { shots = 1, max_new_tokens = 2 }, rows);
        Assert.All(Items(), i => Assert.Equal(1, i["examples"]!.GetValue<int>()));
        var result = Run("few_shot", new { shots = 100, max_new_tokens = 2 }, rows);
        Assert.InRange(result["examples_in_context"], 1, 10);
        Assert.Equal(0, result["exact_match"]);
    }

    [Fact]
    public void Prompts_read_as_in_the_papers()
    {
        var question = new FewShotRow("q", "hello?", null, ["no"], null, "here:1");
        var example = new FewShotRow("e", "say yes", null, ["yes"], "say it.", "here:2");
        FewShotPrompt Prompt(EvaluateHyperparameters settings) => new(settings, tokenizer, settings.Format == "chat" ? new Labeling.Training.Data.ChatEncoder(model) : null, 0);
        string Text(FewShotPrompt prompt) => tokenizer.Decode(prompt.Context([example], question));

        Assert.EndsWith("Question: say yes\nAnswer: yes\n\nQuestion: hello?\nAnswer:", Text(Prompt(new())), StringComparison.Ordinal);
        Assert.EndsWith("Answer: say it. The answer is yes.\n\nQuestion: hello?\nAnswer:", Text(Prompt(new() { ChainOfThought = true })), StringComparison.Ordinal);
        var chat = Text(Prompt(new() { Format = "chat" }));
        Assert.Matches(@"<\|user\|>\s*say yes.*<\|assistant\|>\s*yes.*<\|user\|>\s*hello\?.*<\|assistant\|>", chat.ReplaceLineEndings(" "));

        var answered = Prompt(new()).Answered([example], question, "no");
        Assert.Equal(" no", tokenizer.Decode(answered.Ids[answered.From..]));
        answered = Prompt(new() { Format = "chat" }).Answered([example], question, "no");
        Assert.Equal("no", tokenizer.Decode(answered.Ids[answered.From..]).Trim());
        Assert.Equal(Prompt(new() { Format = "chat" }).Context([example], question), answered.Ids[..answered.From]);
    }

    [Fact]
    public void A_model_ties_with_itself()
    {
        var models = new JsonArray(new JsonObject { ["id"] = "a", ["path"] = "../model" }, new JsonObject { ["id"] = "b", ["path"] = "../model" });
        var result = Run("win_rate", new { max_new_tokens = 6 }, [.. Enumerable.Range(0, 5).Select(i => (object)new { prompt = new[] { Message("user", $"say {i}") }, completion = new[] { Message("assistant", "yes") } })], ("models", models));
        Assert.Equal((0.5, 5, 0, 0), (result["win_rate"], result["ties"], result["wins"], result["losses"]));
        Assert.Equal(Intervals.Wilson(2.5, 5), (result["win_rate/low"], result["win_rate/high"]));
        Assert.Contains("must list two", Refused("win_rate", new { }, [new { prompt = new[] { Message("user", "q") }, completion = new[] { Message("assistant", "a") } }]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"question":"q"}""", "'answer' is missing")]
    [InlineData("""{"question":"","answer":"a"}""", "'question' is empty")]
    [InlineData("""{"question":"q","answer":5}""", "'answer' must be text, or a list")]
    [InlineData("""{"question":"q","answer":[]}""", "'answer' must be text, or a list")]
    [InlineData("""{"question":"q","choices":["a"],"answer":0}""", "at least two different texts")]
    [InlineData("""{"question":"q","choices":["a","a","b"],"answer":0}""", "none of them twice")]
    [InlineData("""{"question":"q","choices":["a","b"],"answer":2}""", "0 to 1, or the text of one")]
    [InlineData("""{"question":"q","choices":["a","b"],"answer":"c"}""", "0 to 1, or the text of one")]
    [InlineData("""{"question":"q","choices":"ab","answer":"a"}""", "'choices' must be a list of texts")]
    public void A_bad_question_is_named(string line, string reason) =>
        Assert.Matches($"^train.jsonl:1: .*{System.Text.RegularExpressions.Regex.Escape(reason)}", Refused("few_shot", new { }, [JsonNode.Parse(line)!]));

    [Fact]
    public void What_cannot_be_measured_is_refused()
    {
        Assert.Contains("needs text or demonstration rows", Refused("likelihood", new { }, null), StringComparison.Ordinal);
        Assert.Contains("has no rows", Refused("likelihood", new { }, []), StringComparison.Ordinal);
        Assert.Contains("'text' is empty", Refused("likelihood", new { }, [new { text = "" }]), StringComparison.Ordinal);
        Assert.Contains("field 'completion' is missing", Refused("likelihood", new { }, [new { prompt = new[] { Message("user", "q") } }]), StringComparison.Ordinal);
        Assert.Contains("rationale", Refused("few_shot", new { shots = 1, chain_of_thought = true }, [new { question = "q", answer = "a" }]), StringComparison.Ordinal);
        Assert.Contains($"context holds {Context}", Refused("few_shot", new { }, [new { question = new string('x', 100), answer = "a" }]), StringComparison.Ordinal);
        Assert.Contains("Every one of the 1 rows", Refused("few_shot", new { overlong = "skip" }, [new { question = new string('x', 100), answer = "a" }]), StringComparison.Ordinal);

        SaveZeros(model, tokenizer.VocabSize - 1);
        Assert.Contains($"has {tokenizer.VocabSize} tokens but the model's weights have {tokenizer.VocabSize - 1}", Refused("likelihood", new { }, [new { text = "hello" }]), StringComparison.Ordinal);
        File.Delete(Path.Combine(model, "tokenizer.json"));
        Assert.Contains("tokenizer.json", Refused("likelihood", new { }, [new { text = "hello" }]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 0.193147)]
    [InlineData(16, 1.835089)]
    [InlineData(64, 3.174508)]
    public void Divergence_of_the_best_of_n(int n, double expected) => Assert.Equal(expected, BestOfNStage.KlOfBestOf(n), 1e-6);

    private static object Message(string role, string content) => new { role, content };

    private static void SaveZeros(string folder, int vocabulary)
    {
        using var zeros = CausalLm.New(ModelConfig.Gpt2(vocabulary, 16, 1, 2, Context, eosTokenId: 0, padTokenId: 0), 1);
        using (no_grad())
        {
            foreach (var parameter in zeros.Parameters.Values)
            {
                parameter.zero_();
            }
        }
        zeros.Save(folder);
    }

    private string Make(string task, object hyperparameters, object[]? rows, (string Key, JsonNode Value)[] more)
    {
        var folder = Directory.CreateDirectory(Path.Combine(root.FullName, "run")).FullName;
        Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);
        var settings = JsonSerializer.SerializeToNode(hyperparameters)!.AsObject();
        settings["task"] = task;
        var run = new JsonObject { ["schema"] = 1, ["stage"] = "evaluate", ["base"] = "../model", ["hyperparameters"] = settings };
        if (rows is not null)
        {
            File.WriteAllText(Path.Combine(folder, "train.jsonl"), string.Concat(rows.Select(r => JsonSerializer.Serialize(r) + "\n")));
            run["data"] = new JsonArray(new JsonObject { ["path"] = "train.jsonl" });
        }
        foreach (var (key, value) in more)
        {
            run[key] = value;
        }
        File.WriteAllText(Path.Combine(folder, "run.json"), run.ToJsonString());
        return folder;
    }

    private Dictionary<string, double> Run(string task, object hyperparameters, object[] rows, params (string Key, JsonNode Value)[] more)
    {
        using var run = new RunFolder(Make(task, hyperparameters, rows, more));
        Stages.Run(run);
        return JsonNode.Parse(File.ReadAllText(run.In("result.json")))!["metrics"]!.AsObject().ToDictionary(m => m.Key, m => m.Value!.GetValue<double>());
    }

    private string Refused(string task, object hyperparameters, object[]? rows)
    {
        using var run = new RunFolder(Make(task, hyperparameters, rows, []));
        return Assert.Throws<BadInputException>(() => Stages.Run(run)).Message;
    }

    private List<JsonObject> Items() => [.. File.ReadLines(Path.Combine(root.FullName, "run", "items.jsonl")).Select(line => JsonNode.Parse(line)!.AsObject())];
}
