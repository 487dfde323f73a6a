using System.Text.Json;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Worker;

internal sealed record SamplingSettings(double? Temperature, double? TopP);

/// <summary>The answers of a sample run and, when wanted, the ranking tasks made of them: one per prompt over all its different answers.</summary>
internal sealed class SampledAnswers
{
    private readonly TrainingRun _run;
    private readonly List<Completion> _completions;
    private readonly List<List<Completion>> _tasks = [];

    public SampledAnswers(TrainingRun run, SamplingSettings settings, string path)
    {
        _run = run;
        var order = run.Models.ToDictionary(used => used.ModelId, used => used.Ordinal);
        // An answer twice in the file, from a resumed run, is one answer.
        _completions = [.. JsonLines.Read(path).Select(row => Completion(run, settings, row))
            .DistinctBy(answer => (answer.PromptId, answer.ModelId, answer.SampleIndex))
            .OrderBy(answer => answer.PromptId).ThenBy(answer => order[answer.ModelId!.Value]).ThenBy(answer => answer.SampleIndex)];
        if (!run.CreateRankingTasks) return;
        foreach (var prompt in _completions.GroupBy(answer => answer.PromptId))
        {
            // The same text twice cannot be ranked: people would see no difference.
            var different = prompt.DistinctBy(answer => answer.Text).Take(Project.MaxAnswers).ToList();
            if (different.Count >= Project.MinAnswers) _tasks.Add(different);
            else AllTheSame++;
        }
    }

    public int AllTheSame { get; private set; }

    public string Summary => _run.CreateRankingTasks
        ? $"{_completions.Count} answers; {_tasks.Count} ranking tasks, {AllTheSame} prompts without one because all their answers are the same."
        : $"{_completions.Count} answers.";

    public async Task RecordAsync(LabelingDbContext db, CancellationToken cancel)
    {
        var overlap = await db.Projects.Where(project => project.Id == _run.ProjectId).Select(project => project.RankingOverlap).SingleAsync(cancel);
        db.Completions.AddRange(_completions);
        foreach (var answers in _tasks)
        {
            var task = new LabelingTask
            {
                Id = Guid.CreateVersion7(),
                ProjectId = _run.ProjectId,
                PromptId = answers[0].PromptId,
                Kind = TaskKind.Ranking,
                Overlap = overlap,
                Batch = _run.Batch,
                RunId = _run.Id,
            };
            task.Completions.AddRange(answers.Select((answer, i) => new TaskCompletion { TaskId = task.Id, CompletionId = answer.Id, Ordinal = i }));
            db.Tasks.Add(task);
        }
    }

    private static Completion Completion(TrainingRun run, SamplingSettings settings, JsonElement row) => new()
    {
        Id = Guid.CreateVersion7(),
        PromptId = row.GetProperty("prompt_id").GetGuid(),
        Source = CompletionSource.Model,
        // A model may write the one character PostgreSQL cannot keep.
        Text = row.GetProperty("completion").GetString()!.Replace('\0', '\uFFFD'),
        ModelId = row.GetProperty("model_id").GetGuid(),
        RunId = run.Id,
        SampleIndex = row.GetProperty("index").GetInt32(),
        Temperature = settings.Temperature,
        TopP = settings.TopP,
        Seed = row.GetProperty("seed").GetInt64(),
        TokenCount = row.GetProperty("tokens").GetInt32(),
        FinishReason = row.GetProperty("finish_reason").GetString(),
    };
}
