using System.Text.Json;
using Labeling.AppHost.Supervision;
using Labeling.Core.Runs;

namespace Labeling.AppHost.Starter;

/// <summary>One run of the trainer, as a child process over a run folder, without a database.</summary>
internal static class TrainerRun
{
    /// <summary>How long a step and its checkpoint may take when the run is asked to stop; after that the checkpoint before it stands.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    private static readonly JsonSerializerOptions Readable = new() { WriteIndented = true };

    /// <summary>Writes run.json into <paramref name="folder"/>, runs the stage to its end and answers the metrics of result.json. A run that was stopped or killed goes on from its checkpoint.</summary>
    /// <param name="folder">The run folder; files that <paramref name="spec"/> names are there already.</param>
    /// <param name="spec">run.json without schema, run_id and stage.</param>
    /// <exception cref="HostException">The trainer did not finish; the message holds its reason.</exception>
    /// <exception cref="OperationCanceledException">Asked to stop; the trainer has written a checkpoint and ended.</exception>
    public static async Task<IReadOnlyDictionary<string, double>> RunAsync(
        string folder, string stage, Dictionary<string, object> spec, Guard guard, Action<string> log, CancellationToken cancellation)
    {
        await OrphanedTrainer.EndAsync(folder, log, cancellation);
        Dictionary<string, object> run = new(spec) { ["schema"] = 1, ["run_id"] = $"starter-{stage}", ["stage"] = stage };
        await File.WriteAllTextAsync(Path.Combine(folder, "run.json"), JsonSerializer.Serialize(run, Readable), cancellation);
        Launch launch = Programs.Trainer(stage, "--run", folder);
        await using ChildProcess trainer = ChildProcess.Start(launch, guard, isDatabase: false, log);
        await ((Task)trainer.Exited).WaitAsync(cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (cancellation.IsCancellationRequested)
        {
            await trainer.StopAsync(Grace);
            cancellation.ThrowIfCancellationRequested();
        }
        int exitCode = await trainer.Exited;
        if (exitCode != 0)
            throw new HostException($"The trainer's stage '{stage}' {ChildProcess.Describe(exitCode)}.\n{trainer.LastWords}");
        return Result(folder) ?? throw new HostException($"The trainer's stage '{stage}' ended without a result in {folder}.");
    }

    /// <summary>The metrics of a finished run's result.json; null when the run is not finished.</summary>
    public static IReadOnlyDictionary<string, double>? Result(string folder)
    {
        string file = Path.Combine(folder, "result.json");
        if (!File.Exists(file))
            return null;
        using JsonDocument result = JsonDocument.Parse(File.ReadAllText(file));
        return result.RootElement.GetProperty("metrics").EnumerateObject().ToDictionary(m => m.Name, m => m.Value.GetDouble());
    }

    /// <summary>Writes rows as JSONL and answers how a run names the file.</summary>
    public static Dictionary<string, object> WriteRows<T>(string folder, string split, IEnumerable<T> rows)
    {
        string path = Path.Combine(folder, "data", split + ".jsonl");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllLines(path, rows.Select(r => JsonSerializer.Serialize(r)));
        return new Dictionary<string, object> { ["path"] = $"data/{split}.jsonl", ["split"] = split };
    }
}
