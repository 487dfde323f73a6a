using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Labeling.Core.Data;
using Labeling.Core.Features.Models;
using Labeling.Core.Model;
using Labeling.Core.Runs;
using Labeling.Core.Storage;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Labeling.Worker;

/// <summary>Lays out a run's folder: run.json, the dataset's files and the models it starts from. What an earlier attempt left (checkpoints, metrics) stays.</summary>
internal sealed class RunFolderWriter(IServiceScopeFactory scopes, IBlobStore blobs, WorkerOptions options)
{
    // Read by people with cat and by the trainer; never embedded in HTML.
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public string FolderOf(Guid runId) => Path.Combine(options.RunsFolder, runId.ToString());

    /// <exception cref="BlobStoreException">A file of the dataset or a model is missing or damaged.</exception>
    public async Task<TrainingRun> WriteAsync(Guid runId, CancellationToken cancel)
    {
        var run = await ReadAsync(runId, cancel);
        var folder = FolderOf(runId);
        var data = new JsonArray();
        // Sampling answers every prompt of the dataset; training never sees the test split.
        foreach (var file in run.DatasetVersion!.Files.Where(file => run.Stage == RunStage.Sample || file.Split != Split.Test).OrderBy(file => file.Split))
        {
            var path = $"data/{Name(file.Split)}.jsonl";
            await blobs.MaterialiseAsync(file.Sha256, Path.Combine(folder, path), cancel);
            data.Add(new JsonObject { ["path"] = path, ["split"] = Name(run.Stage == RunStage.Sample ? Split.Train : file.Split), ["sha256"] = file.Sha256, ["rows"] = file.Rows });
        }

        var spec = new JsonObject
        {
            ["schema"] = 1,
            ["run_id"] = run.Id.ToString(),
            ["stage"] = StageCatalog.NameOf(run.Stage),
            ["seed"] = run.Seed,
            ["threads"] = options.Threads,
        };
        var sampled = new JsonArray();
        foreach (var used in run.Models.OrderBy(used => used.Ordinal))
        {
            var path = used.Role switch { RunModelRole.Base => "base", RunModelRole.Reward => "reward", _ => $"models/{used.Ordinal}" };
            await ModelFolder.MaterialiseAsync(blobs, used.Model!.Files, Path.Combine(folder, path), cancel);
            if (used.Role == RunModelRole.Base) spec["base"] = path;
            else if (used.Role == RunModelRole.Reward) spec["reward_model"] = path;
            else sampled.Add(new JsonObject { ["id"] = used.ModelId.ToString(), ["path"] = path });
        }
        if (sampled.Count > 0) spec["models"] = sampled;
        spec["data"] = data;
        spec["hyperparameters"] = JsonNode.Parse(run.Hyperparameters);

        var part = Path.Combine(folder, "run.json.part");
        await File.WriteAllTextAsync(part, spec.ToJsonString(Json), cancel);
        File.Move(part, Path.Combine(folder, "run.json"), overwrite: true);
        // Of an earlier attempt: whoever reads it later must know that it is this one's.
        File.Delete(Path.Combine(folder, "error.json"));
        return run;
    }

    /// <summary>Removes what is stored elsewhere or needed no more; the record of the run (run.json, data, metrics, log) stays.</summary>
    public void Tidy(Guid runId)
    {
        foreach (var name in new[] { "checkpoints", "output", "base", "reward", "models" })
        {
            var folder = Path.Combine(FolderOf(runId), name);
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        }
    }

    private async Task<TrainingRun> ReadAsync(Guid runId, CancellationToken cancel)
    {
        await using var scope = scopes.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<LabelingDbContext>();
        return await db.TrainingRuns.AsNoTracking().AsSplitQuery()
            .Include(run => run.DatasetVersion!.Files).Include(run => run.Models).ThenInclude(used => used.Model!.Files)
            .SingleAsync(run => run.Id == runId, cancel);
    }

    private static string Name(Split split) => split.ToString().ToLowerInvariant();
}
