using System.Text.Json;
using System.Text.Json.Nodes;

namespace Labeling.Training.Cli.Tests;

/// <summary>Rejection sampling and evaluation through their command line, on models that learned something.</summary>
[Collection(TinyWorld.Name)]
public class MeasuringTests(TinyWorld world)
{
    [Fact]
    public void The_best_of_n_are_demonstrations_that_sft_learns_from()
    {
        var (sft, reward) = world.SftAndReward();
        var run = world.BestOf("best-of-8", sft, reward);
        TinyWorld.Finish("best-of-n", run);
        var answers = Rows(run, "samples.jsonl");
        Assert.Equal(20 * 8, answers.Count);
        var best = answers.GroupBy(a => a["prompt_id"]!.GetValue<string>()).ToDictionary(g => g.Key, g =>
        {
            Assert.Equal(8, g.Count());
            var kept = g.Single(a => a["best"]!.GetValue<bool>());
            Assert.Equal(g.Max(a => a["score"]!.GetValue<float>()), kept["score"]!.GetValue<float>());
            return kept;
        });
        var demonstrations = Rows(run, "demonstrations.jsonl");
        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"p{i}"), demonstrations.Select(d => d["id"]!.GetValue<string>()));
        Assert.All(demonstrations, d => Assert.Equal(best[d["id"]!.GetValue<string>()]["completion"]!.GetValue<string>(), d["completion"]![0]!["content"]!.GetValue<string>()));
        var metrics = RunFiles.Json(run, "result.json")["metrics"]!;
        Assert.True(metrics["reward_best"]!.GetValue<double>() > metrics["reward"]!.GetValue<double>());
        Assert.Equal(Math.Log(8) - (7.0 / 8), metrics["objective/kl"]!.GetValue<double>(), 1e-9);

        var next = RunFiles.Make(world.Root, "sft-on-best", "sft", new { epochs = 1 }, [], ("base", $"../{sft}/output"), ("data", new JsonArray(new JsonObject { ["path"] = "../best-of-8/demonstrations.jsonl" })));
        TinyWorld.Finish("sft", next);
    }

    [Fact]
    public void One_prompt_and_one_answer_are_enough_and_no_prompt_is_not()
    {
        var (sft, reward) = world.SftAndReward();
        var one = RunFiles.Make(world.Root, "best-of-1", "best-of-n", new { answers_per_prompt = 1, max_new_tokens = 4 }, [("train", TinyWorld.Prompts(1))], ("base", $"../{sft}/output"), ("reward_model", $"../{reward}/output"));
        TinyWorld.Finish("best-of-n", one);
        Assert.Equal(0, RunFiles.Json(one, "result.json")["metrics"]!["objective/kl"]!.GetValue<double>());
        Assert.Single(Rows(one, "demonstrations.jsonl"));
        var none = RunFiles.Make(world.Root, "best-of-none", "best-of-n", new { }, [("train", [])], ("base", $"../{sft}/output"), ("reward_model", $"../{reward}/output"));
        var (code, _, error) = TrainerProcess.Run("best-of-n", "--run", none);
        Assert.Equal(2, code);
        Assert.Contains("has no rows", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Demonstrations_are_likelier_after_learning_them()
    {
        var (sft, _) = world.SftAndReward();
        double BitsPerByte(string name, string model)
        {
            var run = RunFiles.Make(world.Root, name, "evaluate", new { task = "likelihood" }, [("valid", TinyWorld.Demonstrations(24))], ("base", $"../{model}/output"));
            TinyWorld.Finish("evaluate", run);
            return RunFiles.Json(run, "result.json")["metrics"]!["demonstrations/bits_per_byte"]!.GetValue<double>();
        }
        Assert.InRange(BitsPerByte("likelihood-sft", sft), 0, BitsPerByte("likelihood-base", "base"));
    }

    [Fact]
    public void A_model_that_learned_to_answer_chooses_and_answers_far_better_than_chance()
    {
        TinyWorld.Finish("sft", RunFiles.Make(world.Root, "well-taught", "sft", new { epochs = 80, batch_size = 8, learning_rate = 3e-3 }, [("train", TinyWorld.Demonstrations(48))], ("base", "../base/output")));
        JsonNode Metrics(string run)
        {
            TinyWorld.Finish("evaluate", run);
            return RunFiles.Json(run, "result.json")["metrics"]!;
        }
        var choices = Metrics(world.Questions("choices", "well-taught", batchSize: 8, shots: 0));
        Assert.Equal(1.0 / 3, choices["accuracy/chance"]!.GetValue<double>(), 1e-9);
        Assert.True(choices["accuracy/sum"]!.GetValue<double>() > 0.8, choices.ToJsonString());
        Assert.True(choices["accuracy/per_token"]!.GetValue<double>() > 0.8, choices.ToJsonString());

        // Two of eight words make 64 answers; the second word alone is read as what follows a marker.
        JsonNode Free(string name, Func<string, string> answer, object hyperparameters) => Metrics(RunFiles.Make(world.Root, name, "evaluate", hyperparameters,
            [("train", TinyWorld.Questions(0, 24).Select(q => JsonSerializer.SerializeToNode(q)!).Select(q => (object)new { question = q["question"], answer = answer(q["answer"]!.GetValue<string>()) }))], ("base", "../well-taught/output")));
        var free = Free("free-answers", a => a, new { task = "few_shot", format = "chat", max_new_tokens = 8 });
        Assert.True(free["exact_match"]!.GetValue<double>() > 0.5, free.ToJsonString());
        var marked = Free("marked-answers", a => a.Split(' ')[1], new { task = "few_shot", format = "chat", max_new_tokens = 8, chain_of_thought = true, answer_marker = " " });
        Assert.True(marked["exact_match"]!.GetValue<double>() > 0.5, marked.ToJsonString());
        Assert.True(marked["answered"]!.GetValue<double>() > 0.9, marked.ToJsonString());
    }

    [Fact]
    public void The_trained_model_wins_over_the_one_it_came_from()
    {
        // By the reward model that it was trained to please: what else a reward model of a few dozen rankings prefers is chance.
        var (sft, reward) = world.SftAndReward();
        TinyWorld.Finish("grpo", world.Group("pleasing", "grpo", sft, reward, episodes: 1280));
        var run = RunFiles.Make(world.Root, "win-rate", "evaluate", new { task = "win_rate", max_new_tokens = 8 }, [("train", TinyWorld.Prompts(60))],
            ("models", new JsonArray(new JsonObject { ["id"] = "grpo", ["path"] = "../pleasing/output" }, new JsonObject { ["id"] = "sft", ["path"] = $"../{sft}/output" })), ("reward_model", $"../{reward}/output"));
        TinyWorld.Finish("evaluate", run);
        var metrics = RunFiles.Json(run, "result.json")["metrics"]!;
        var rate = metrics["win_rate"]!.GetValue<double>();
        Assert.True(rate > 0.5, metrics.ToJsonString());
        Assert.InRange(rate, metrics["win_rate/low"]!.GetValue<double>(), metrics["win_rate/high"]!.GetValue<double>());
        var items = Rows(run, "items.jsonl");
        Assert.Equal(60, items.Count);
        Assert.Equal(items.Average(i => i["outcome"]!.GetValue<double>()), rate, 1e-9);
        Assert.All(items.Where(i => i["first"]!.ToJsonString() == i["second"]!.ToJsonString()), i => Assert.Equal(0.5, i["outcome"]!.GetValue<double>()));
    }

    private static List<JsonObject> Rows(string run, string file) => [.. RunFiles.Lines(Path.Combine(run, file)).Select(line => JsonNode.Parse(line)!.AsObject())];
}
