using System.Diagnostics;
using System.Text.Json;

namespace Labeling.Worker.Tests;

/// <summary>A language model of a few thousand weights, made by the trainer itself once for all tests.</summary>
public sealed class TinyModel : IAsyncLifetime
{
    private readonly string _root = Directory.CreateTempSubdirectory("labeling-tiny-").FullName;

    public string Folder => Path.Combine(_root, "pretrain", "output");

    public static string Trainer { get; } = Sibling("Labeling.Training.Cli", "labeling-train.dll");

    public static string Worker { get; } = Sibling("Labeling.Worker", "Labeling.Worker.dll");

    public async ValueTask InitializeAsync()
    {
        string[] words = ["red", "green", "blue", "cat", "dog", "bird", "sun", "moon"];
        var random = new Random(1);
        var texts = Enumerable.Range(0, 400).Select(_ => new { text = string.Join(' ', Enumerable.Range(0, 12).Select(_ => words[random.Next(words.Length)])) }).ToList();
        await RunAsync("tokenizer", texts, new { vocab_size = 300 });
        Directory.CreateDirectory(Path.Combine(_root, "pretrain"));
        CopyFolder(Path.Combine(_root, "tokenizer", "output"), Path.Combine(_root, "pretrain", "tokenizer"));
        await RunAsync("pretrain", texts, new { hidden_size = 16, layers = 1, heads = 2, context_length = 64, batch_size = 8, max_steps = 5 }, "tokenizer");
    }

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_root, recursive: true);
        return ValueTask.CompletedTask;
    }

    private async Task RunAsync(string stage, IEnumerable<object> rows, object hyperparameters, string? tokenizer = null)
    {
        var folder = Path.Combine(_root, stage);
        Directory.CreateDirectory(Path.Combine(folder, "data"));
        await File.WriteAllLinesAsync(Path.Combine(folder, "data", "train.jsonl"), rows.Select(row => JsonSerializer.Serialize(row)));
        var spec = new { schema = 1, run_id = stage, stage, seed = 1, threads = 1, tokenizer, data = new[] { new { path = "data/train.jsonl", split = "train" } }, hyperparameters };
        await File.WriteAllTextAsync(Path.Combine(folder, "run.json"), JsonSerializer.Serialize(spec));
        using var trainer = Process.Start(new ProcessStartInfo("dotnet", [Trainer, stage, "--run", folder]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        trainer.OutputDataReceived += (_, _) => { };
        trainer.BeginOutputReadLine();
        var errors = await trainer.StandardError.ReadToEndAsync();
        await trainer.WaitForExitAsync();
        Assert.True(trainer.ExitCode == 0, $"labeling-train {stage}: {errors}");
    }

    private static void CopyFolder(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.GetFiles(from))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }

    private static string Sibling(string project, string program)
    {
        var here = Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);
        return Path.GetFullPath(Path.Combine(here, "..", "..", project, Path.GetFileName(here), program));
    }
}
