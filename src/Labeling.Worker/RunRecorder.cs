using System.Text.Json;
using System.Text.Json.Nodes;
using Labeling.Core.Data;
using Labeling.Core.Features.Models;
using Labeling.Core.Model;
using Labeling.Core.Runs;
using Labeling.Core.Storage;

namespace Labeling.Worker;

/// <summary>What a finished run adds to the database, ready to be written in the transaction that completes it.</summary>
internal sealed record RunOutcome(string Result, Func<LabelingDbContext, CancellationToken, Task> RecordAsync);

/// <summary>Reads what a trainer left in its folder: a model, scores, or sampled answers. Model files are stored before the transaction, for they may be large.</summary>
internal sealed class RunRecorder(IBlobStore blobs, StageCatalog catalog)
{
    /// <exception cref="InvalidDataException">The folder does not hold what the stage promises.</exception>
    public async Task<RunOutcome> ReadAsync(TrainingRun run, string folder, CancellationToken cancel)
    {
        var result = ReadResult(folder);
        if (run.Stage == RunStage.Sample)
        {
            var sampled = new SampledAnswers(run, Settings(run), Path.Combine(folder, "samples.jsonl"));
            await File.AppendAllTextAsync(Path.Combine(folder, "log.txt"), sampled.Summary + "\n", cancel);
            return new(result, sampled.RecordAsync);
        }

        var kind = run.Stage == RunStage.Reward ? ModelKind.Reward : ModelKind.Policy;
        var output = Path.Combine(folder, "output");
        if (ModelFolder.ProblemOf(output, kind) is { } problem) throw new InvalidDataException($"The trainer ended well, but {problem}");
        var model = new ModelCheckpoint
        {
            Id = Guid.CreateVersion7(),
            ProjectId = run.ProjectId,
            Name = run.Name,
            Kind = kind,
            RunId = run.Id,
            ParentId = run.Models.Single(used => used.Role == RunModelRole.Base).ModelId,
            Metrics = result,
        };
        model.Files.AddRange(await ModelFolder.StoreAsync(blobs, output, model.Id, cancel));
        var scores = kind == ModelKind.Reward ? ReadScores(Path.Combine(folder, "scores.jsonl"), model.Id) : [];
        return new(result, (db, _) =>
        {
            db.Models.Add(model);
            db.CompletionScores.AddRange(scores);
            return Task.CompletedTask;
        });
    }

    private SamplingSettings Settings(TrainingRun run)
    {
        var given = JsonNode.Parse(run.Hyperparameters)!.AsObject();
        double? Number(string name) => given[name]?.GetValue<double>() ?? catalog.DefaultOf(RunStage.Sample, name);
        return new(Number("temperature"), Number("top_p"));
    }

    private static string ReadResult(string folder)
    {
        try
        {
            var result = JsonNode.Parse(File.ReadAllBytes(Path.Combine(folder, "result.json")))!.AsObject();
            var figures = result["metrics"]?.DeepClone().AsObject() ?? [];
            figures["seconds"] = result["seconds"]?.DeepClone();
            return figures.ToJsonString();
        }
        catch (Exception error) when (error is IOException or JsonException or InvalidOperationException or NullReferenceException)
        {
            throw new InvalidDataException($"The trainer ended well, but its result.json cannot be read: {error.Message}", error);
        }
    }

    /// <summary>An answer that several people ranked has one score.</summary>
    private static List<CompletionScore> ReadScores(string path, Guid modelId)
    {
        var scores = new Dictionary<Guid, CompletionScore>();
        foreach (var row in JsonLines.Read(path))
        {
            var id = row.GetProperty("completion_id").GetGuid();
            scores[id] = new()
            {
                ModelId = modelId,
                CompletionId = id,
                Split = Enum.Parse<Split>(row.GetProperty("split").GetString()!, ignoreCase: true),
                Score = row.GetProperty("score").GetDouble(),
            };
        }
        return [.. scores.Values];
    }
}
