using Labeling.Core.Data;
using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Models;

/// <summary>A model and all that made it: its run, its dataset, the labels in it and the people who gave them, back to the first ancestor.</summary>
[Allow(Roles.Admin)]
public sealed record GetModel(Actor Actor, Guid Id) : IQuery<ModelDetails>;

/// <param name="Lineage">From this model back to the model that came from outside.</param>
/// <param name="Labelers">Everybody whose labels stand behind this model, over the whole lineage.</param>
public sealed record ModelDetails(
    ModelItem Model, string? Description, IReadOnlyList<ModelFileView> Files, IReadOnlyList<LineageStep> Lineage, IReadOnlyList<LineageLabeler> Labelers,
    IReadOnlyList<RunChoice> Children);

public sealed record ModelFileView(string Path, long Bytes, string Sha256);

/// <param name="RewardModelId">For PPO: the reward model, whose own lineage follows as further steps.</param>
public sealed record LineageStep(
    Guid ModelId, string ModelName, ModelKind Kind, Guid? RunId, RunStage? Stage, Guid? DatasetId, string? DatasetName, DatasetKind? DatasetKind, int? Rows, string? DatasetSha256,
    Guid? RewardModelId, IReadOnlyList<LineageLabeler> Labelers);

public sealed record LineageLabeler(Guid Id, string DisplayName, int Demonstrations, int Rankings);

internal sealed class GetModelHandler(LabelingDbContext db) : IHandler<GetModel, ModelDetails>
{
    public async ValueTask<Result<ModelDetails>> Handle(GetModel request, CancellationToken cancellationToken)
    {
        var one = db.Models.AsNoTracking().Where(model => model.Id == request.Id);
        if ((await ModelViews.ReadAsync(db, one, cancellationToken)).SingleOrDefault() is not { } item) return Problem.NotFound("The model");
        var more = await one.Select(model => new
        {
            model.Description,
            Files = model.Files.OrderBy(file => file.Path).Select(file => new ModelFileView(file.Path, file.Bytes, file.Sha256)).ToList(),
        }).SingleAsync(cancellationToken);
        var lineage = await LineageAsync(request.Id, cancellationToken);
        var labelers = await LabelersAsync([.. lineage.Select(step => step.DatasetId).OfType<Guid>().Distinct()], cancellationToken);
        return new ModelDetails(item, more.Description, more.Files, lineage, labelers, await ChildrenAsync(request.Id, cancellationToken));
    }

    /// <summary>The model's own ancestors first, then those of each reward model that taught one of them; each model once.</summary>
    private async Task<List<LineageStep>> LineageAsync(Guid id, CancellationToken cancel)
    {
        var steps = new List<LineageStep>();
        var rewards = new Queue<Guid>();
        var seen = new HashSet<Guid>();
        for (Guid? next = id; next is { } current; next ??= rewards.TryDequeue(out var reward) ? reward : null)
        {
            next = null;
            if (!seen.Add(current)) continue;
            var row = await db.Models.AsNoTracking().Where(model => model.Id == current).Select(model => new
            {
                model.Name,
                model.Kind,
                model.RunId,
                model.ParentId,
                Stage = model.Run == null ? null : (RunStage?)model.Run.Stage,
                Dataset = model.Run == null ? null : model.Run.DatasetVersion,
                Reward = model.Run == null ? null : model.Run.Models.Where(used => used.Role == RunModelRole.Reward).Select(used => (Guid?)used.ModelId).FirstOrDefault(),
            }).SingleAsync(cancel);
            steps.Add(new(
                current, row.Name, row.Kind, row.RunId, row.Stage, row.Dataset?.Id, row.Dataset is { } dataset ? $"{dataset.Name} v{dataset.Number}" : null, row.Dataset?.Kind,
                row.Dataset?.RowCount, row.Dataset?.Sha256, row.Reward, row.Dataset is null ? [] : await LabelersAsync([row.Dataset.Id], cancel)));
            if (row.Reward is { } teacher) rewards.Enqueue(teacher);
            next = row.ParentId;
        }
        return steps;
    }

    /// <summary>A label that is in two datasets counts once.</summary>
    private async Task<List<LineageLabeler>> LabelersAsync(IReadOnlyList<Guid> datasets, CancellationToken cancel)
    {
        var people = await db.DatasetItems.Where(item => datasets.Contains(item.DatasetVersionId) && (item.CompletionId != null || item.RankingId != null))
            .Select(item => new { item.LabelerId, item.CompletionId, item.RankingId }).Distinct()
            .Join(db.Users, label => label.LabelerId, user => user.Id, (label, user) => new { user.Id, user.DisplayName, label.CompletionId, label.RankingId })
            .GroupBy(label => new { label.Id, label.DisplayName })
            .Select(person => new { person.Key.Id, person.Key.DisplayName, Demonstrations = person.Count(label => label.CompletionId != null), Rankings = person.Count(label => label.RankingId != null) })
            .ToListAsync(cancel);
        return [.. people.OrderByDescending(person => person.Demonstrations + person.Rankings).ThenBy(person => person.DisplayName, StringComparer.Ordinal)
            .Select(person => new LineageLabeler(person.Id, person.DisplayName, person.Demonstrations, person.Rankings))];
    }

    private async Task<List<RunChoice>> ChildrenAsync(Guid id, CancellationToken cancel)
    {
        var children = await db.Models
            .Where(model => model.ParentId == id || (model.Run != null && model.Run.Models.Any(used => used.ModelId == id && used.Role == RunModelRole.Reward)))
            .OrderByDescending(model => model.CreatedAt).Select(model => new { model.Id, model.Name, Stage = model.Run == null ? null : (RunStage?)model.Run.Stage }).ToListAsync(cancel);
        return [.. children.Select(child => new RunChoice(child.Id, child.Name, child.Stage is { } stage ? Stages.Title(stage) : "from outside"))];
    }
}
