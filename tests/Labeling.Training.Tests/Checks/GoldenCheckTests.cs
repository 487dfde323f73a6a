using System.Text.Json.Nodes;
using Labeling.Training.Checks;

namespace Labeling.Training.Tests.Checks;

public sealed class GoldenCheckTests : IDisposable
{
    private static readonly string Golden = Path.Combine(AppContext.BaseDirectory, "Golden");
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("golden-check-");
    private readonly List<string> lines = [];
    private readonly List<string> errors = [];

    public void Dispose() => folder.Delete(recursive: true);

    private int Check(string path) => GoldenCheck.Run(path, lines.Add, errors.Add);

    private string Copy(string kind, string name)
    {
        var target = Path.Combine(folder.FullName, name);
        Directory.CreateDirectory(target);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Golden, kind, name)))
        {
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        }
        return target;
    }

    private static void Change(string file, Action<JsonNode> change)
    {
        var json = JsonNode.Parse(File.ReadAllText(file))!;
        change(json);
        File.WriteAllText(file, json.ToJsonString());
    }

    [Fact]
    public void Everything_below_a_folder_is_found_and_within_tolerance()
    {
        Assert.True(Check(Golden) == GoldenCheck.Within, string.Join('\n', errors.Concat(lines.Where(l => l.Contains("OUT", StringComparison.Ordinal)))));
        Assert.Empty(errors);
        foreach (var quantity in new[]
        {
            "logits", "loss", "log-probabilities", "gradients, total norm", "gradients, norms", "gradients, values", "greedy generation", "train_trace, losses", "rewards, default positions",
            "rewards, mask positions", "pairwise, loss", "ids", "ids_with_special", "decoded", "decoded_skip_special", "decode_cases", "rendered text", "expected errors",
        })
        {
            Assert.Contains(lines, l => l.StartsWith($"  ok   {quantity}:", StringComparison.Ordinal));
        }
        Assert.Matches(@"^(\d+) of \1 golden files checked: (\d+) of \2 quantities within tolerance, 0 out of tolerance", lines[^1]);
    }

    [Fact]
    public void A_value_out_of_tolerance_is_named_with_its_place()
    {
        var model = Copy("models", "qwen3");
        Change(Path.Combine(model, "golden.json"), g =>
        {
            var row = g["cases"]![0]!["logits"]![1]![2]!.AsArray();
            row[7] = row[7]!.GetValue<double>() + 0.01;
        });
        Assert.Equal(GoldenCheck.OutOfTolerance, Check(model));
        var line = Assert.Single(lines, l => l.StartsWith("  OUT", StringComparison.Ordinal));
        Assert.Contains("short_unpadded logits[1,2,7]", line, StringComparison.Ordinal);
        Assert.Contains("1.0e-02", line, StringComparison.Ordinal);
        Assert.Contains("tolerance 1e-4 + 1e-5", line, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_epsilon_in_the_model_shows()
    {
        var model = Copy("models", "qwen3");
        Change(Path.Combine(model, "config.json"), c => c["rms_norm_eps"] = 1e-4);
        Assert.Equal(GoldenCheck.OutOfTolerance, Check(model));
        Assert.Contains(lines, l => l.StartsWith("  OUT  logits", StringComparison.Ordinal));
    }

    [Fact]
    public void A_differing_token_is_named_with_case_and_position()
    {
        var tokenizer = Copy("tokenizers", "spbpe_llama2");
        Change(Path.Combine(tokenizer, "golden.json"), g => g["cases"]!.AsArray().First(c => c!["ids"]!.AsArray().Count > 3)!["ids"]![2] = 5);
        Assert.Equal(GoldenCheck.OutOfTolerance, Check(tokenizer));
        Assert.Contains(lines, l => l.StartsWith("  OUT  ids: 1 of 193 differ", StringComparison.Ordinal) && l.Contains("token 2 is", StringComparison.Ordinal) && l.Contains("expected 5", StringComparison.Ordinal));
    }

    [Fact]
    public void What_cannot_be_checked_is_bad_input_and_named()
    {
        var model = Copy("models", "qwen3");
        Change(Path.Combine(model, "config.json"), c => c["model_type"] = "mamba");
        Assert.Equal(GoldenCheck.BadInput, Check(model));
        Assert.Contains("config.json: model_type mamba is not known", Assert.Single(errors), StringComparison.Ordinal);

        errors.Clear();
        Assert.Equal(GoldenCheck.BadInput, Check(Path.Combine(folder.FullName, "nowhere")));
        Assert.Contains("nowhere", Assert.Single(errors), StringComparison.Ordinal);

        errors.Clear();
        File.WriteAllText(Path.Combine(folder.FullName, "odd.json"), "{\"cases\":7}");
        Assert.Equal(GoldenCheck.BadInput, Check(Path.Combine(folder.FullName, "odd.json")));
        Assert.Contains("not a golden file", Assert.Single(errors), StringComparison.Ordinal);
    }
}
