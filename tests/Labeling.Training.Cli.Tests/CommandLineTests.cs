using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;

namespace Labeling.Training.Cli.Tests;

[Collection(TinyWorld.Name)]
public class CommandLineTests(TinyWorld world)
{
    [Fact]
    public void Core_carries_the_current_description_of_the_stages()
    {
        var committed = Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", "..", "src", "Labeling.Core", "Runs", "stages.json");
        Assert.True(File.Exists(committed), $"{committed} is missing.");
        Assert.True(CommandLine.StagesAsJson() == File.ReadAllText(committed), "Refresh it: labeling-train describe --json > src/Labeling.Core/Runs/stages.json");
    }

    [Fact]
    public void Describe_prints_every_stage_with_complete_hyperparameters()
    {
        var (code, output, _) = TrainerProcess.Run("describe", "--json");
        Assert.Equal(0, code);
        var stages = JsonNode.Parse(output)!.AsArray();
        Assert.Equal(["filter", "dedup", "tokenizer", "pretrain", "sft", "sample", "reward", "ppo", "dpo", "kto", "grpo", "rloo", "best-of-n", "evaluate"], stages.Select(s => s!["stage"]!.GetValue<string>()));
        foreach (var h in stages.SelectMany(s => s!["hyperparameters"]!.AsArray()))
        {
            Assert.NotEmpty(h!["help"]!.GetValue<string>());
            Assert.Contains(h["type"]!.GetValue<string>(), new[] { "int", "float", "bool", "string", "choice" });
        }
    }

    [Fact]
    public void Help_of_a_stage_explains_its_hyperparameters()
    {
        var (code, output, _) = TrainerProcess.Run("ppo", "--help");
        Assert.Equal(0, code);
        Assert.Contains("--run", output, StringComparison.Ordinal);
        Assert.Contains("kl_coefficient  (float; default 0.02; reward per nat; 0 to 100)", output, StringComparison.Ordinal);
        Assert.Contains("Source: InstructGPT C.4.", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Resources_are_written_after_each_step_and_no_tensor_is_left_behind()
    {
        var (sft, reward) = world.SftAndReward();
        foreach (var (stage, run) in new[]
        {
            ("sft", world.Sft("sft-resources")), ("reward", world.Reward("reward-resources", sft)), ("ppo", world.Ppo("ppo-resources", sft, reward)), ("dpo", world.Dpo("dpo-resources", sft)),
            ("kto", world.Kto("kto-resources", sft)), ("grpo", world.Group("grpo-resources", "grpo", sft, reward, 640)), ("rloo", world.Group("rloo-resources", "rloo", sft, reward, 640)),
        })
        {
            var file = Path.Combine(run, "resources.jsonl");
            var (code, output, error) = TrainerProcess.Run(stage, "--run", run, "--resources", file);
            Assert.True(code == 0, error);
            // However short a run is, its last line says that it is done.
            Assert.Matches(@"(^|\n)done (\d+)/\2\s*$", output);
            var rows = RunFiles.Lines(file).Select(line => JsonNode.Parse(line)!).ToList();
            Assert.Equal(Enumerable.Range(1, RunFiles.CountLines(Path.Combine(run, "metrics.jsonl"))), rows.Select(row => row["step"]!.GetValue<int>()));
            Assert.Single(rows.Select(row => row["live_tensors"]!.GetValue<long>()).Distinct());
            Assert.All(rows, row => Assert.InRange(row["managed_mb"]!.GetValue<double>(), 0.1, row["resident_mb"]!.GetValue<double>()));
        }
    }

    [Fact]
    public void A_resources_file_that_cannot_be_written_is_named_by_its_option()
    {
        var run = world.Sft("sft-resources-nowhere");
        var (code, _, error) = TrainerProcess.Run("sft", "--run", run, "--resources", Path.Combine(run, "nowhere", "resources.jsonl"));
        Assert.Equal(2, code);
        Assert.Contains("--resources", error, StringComparison.Ordinal);
        Assert.Contains("nowhere", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_reports_by_exit_code()
    {
        var golden = Path.Combine(Path.GetDirectoryName(ThisFile())!, "..", "Labeling.Training.Tests", "Golden");
        var (code, output, error) = TrainerProcess.Run("check", "--golden", Path.Combine(golden, "tokenizers"));
        Assert.True(code == 0, output + error);
        Assert.Contains("4 of 4 golden files checked", output, StringComparison.Ordinal);

        var (missing, _, reason) = TrainerProcess.Run("check", "--golden", Path.Combine(golden, "nowhere"));
        Assert.Equal(2, missing);
        Assert.Contains("nowhere", reason, StringComparison.Ordinal);

        var wrong = Path.Combine(world.Root, "wrong.json");
        File.WriteAllText(wrong, """{"chat_template":"{{ messages[0].content }}","bos_token":null,"eos_token":null,"cases":[{"name":"a","messages":[{"role":"user","content":"x"}],"add_generation_prompt":false,"expected":"y"}]}""");
        var (differs, report, _) = TrainerProcess.Run("check", "--golden", wrong);
        Assert.Equal(1, differs);
        Assert.Contains("OUT  rendered text: 1 of 1 differ", report, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ppo")]
    [InlineData("grpo")]
    [InlineData("rloo")]
    public void What_a_stage_would_not_do_is_no_hyperparameter_of_it(string stage)
    {
        // Dropout would give the answers other probabilities than they were drawn with.
        var run = RunFiles.Make(world.Root, stage + "-dropout", stage, new { lora_rank = 2, lora_dropout = 0.1 }, [("train", TinyWorld.Prompts(4))]);
        var (code, _, error) = TrainerProcess.Run(stage, "--run", run);
        Assert.Equal(2, code);
        Assert.Contains("unknown hyperparameter 'lora_dropout'", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"learning_rat":0.1}""", "'learning_rat'", "did you mean 'learning_rate'")]
    [InlineData("""{"epochs":0}""", "'epochs' = 0", "nearest valid value is 1")]
    [InlineData("""{"epochs":1.5}""", "'epochs' = 1.5", "whole number")]
    [InlineData("""{"overlong":"skp"}""", "'overlong'", "did you mean 'skip'")]
    public void An_impossible_hyperparameter_is_refused_naming_the_nearest(string hyperparameters, string named, string hint)
    {
        var folder = world.Sft("bad-" + Guid.NewGuid().ToString("N"));
        var run = RunFiles.Json(folder, "run.json");
        run["hyperparameters"] = JsonNode.Parse(hyperparameters);
        Refused(folder, run, named, hint);
    }

    [Theory]
    [InlineData("""{"schema":1,"stage":"sft","bse":"x"}""", "'bse'", "did you mean 'base'")]
    [InlineData("""{"schema":2,"stage":"sft"}""", "'schema' is 2", "schema 1")]
    [InlineData("""{"schema":1,"stage":"stf"}""", "'stf'", "did you mean 'sft'")]
    [InlineData("""{"schema":1,"stage":"ppo"}""", "for stage 'ppo'", "labeling-train ppo")]
    [InlineData("""{"schema":1,"stage":"sft"}""", "needs 'base'", "folder of the model")]
    [InlineData("""{"schema":1,"stage":"sft","base":"nowhere"}""", "'nowhere'", "does not exist")]
    [InlineData("""{"schema":1,"stage":"sft","data":[{"path":"gone.jsonl"}]}""", "'gone.jsonl'", "does not exist")]
    [InlineData("""{"schema":1,"stage":"reward","data":[{"path":"data/train.jsonl","split":"pretrain"}]}""", "'pretrain'", "did you mean 'train'")]
    [InlineData("""{"schema":1,"stage":"sft","data":[{"path":"data/train.jsonl","weight":2}]}""", "data/train.jsonl", "only training files of 'pretrain'")]
    [InlineData("""{"schema":1,"stage":"sft","data":[{"path":"data/train.jsonl","sha256":"00"}]}""", "data/train.jsonl", "changed or cut off")]
    [InlineData("""{"schema":1,"stage":"sft","data":[{"path":"data/train.jsonl","rows":5}]}""", "data/train.jsonl", "48 rows, not 5")]
    public void A_wrong_run_json_is_refused_by_name(string json, string named, string hint) =>
        Refused(world.Sft("bad-" + Guid.NewGuid().ToString("N")), JsonNode.Parse(json)!.AsObject(), named, hint);

    [Fact]
    public void A_bad_row_is_named_with_file_and_line()
    {
        var folder = world.Sft("bad-row");
        var run = RunFiles.Json(folder, "run.json");
        run["data"] = new JsonArray(new JsonObject { ["path"] = "data/train.jsonl" });
        File.AppendAllText(Path.Combine(folder, "data", "train.jsonl"), "{\"prompt\":[{\"role\":\"user\",\"content\":\"\"}],\"completion\":[]}\n");
        Refused(folder, run, "train.jsonl:49", "'prompt' is empty");
    }

    [Fact]
    public void A_folder_that_does_not_exist_is_bad_input()
    {
        var (code, _, error) = TrainerProcess.Run("sft", "--run", Path.Combine(world.Root, "nowhere"));
        Assert.Equal(2, code);
        Assert.Contains("does not exist", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_learning_rate_that_explodes_ends_the_run_and_names_what_is_not_a_number()
    {
        var folder = world.Sft("explodes");
        var run = RunFiles.Json(folder, "run.json");
        run["hyperparameters"] = JsonNode.Parse("""{"learning_rate":1,"max_grad_norm":1e6,"weight_decay":10,"epochs":200,"batch_size":48}""");
        File.WriteAllText(Path.Combine(folder, "run.json"), run.ToJsonString());
        var (code, _, error) = TrainerProcess.Run("sft", "--run", folder);
        Assert.True(code == 1, error);
        Assert.False(RunFiles.Json(folder, "error.json")["retryable"]!.GetValue<bool>());
        Assert.Matches("not finite|overflows|is NaN|Infinity", RunFiles.Json(folder, "error.json")["message"]!.GetValue<string>());
    }

    private static void Refused(string folder, JsonObject run, string named, string hint)
    {
        File.WriteAllText(Path.Combine(folder, "run.json"), run.ToJsonString());
        var (code, _, error) = TrainerProcess.Run("sft", "--run", folder);
        Assert.Equal(2, code);
        Assert.Contains(named, error, StringComparison.Ordinal);
        Assert.Contains(hint, error, StringComparison.Ordinal);
        var written = RunFiles.Json(folder, "error.json");
        Assert.Contains(named, written["message"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.False(written["retryable"]!.GetValue<bool>());
    }

    private static string ThisFile([CallerFilePath] string path = "") => path;
}
