using Labeling.Core.Data;
using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Models;

/// <summary>Newest first.</summary>
[Allow(Roles.Admin)]
public sealed record ListModels(Actor Actor, Guid ProjectId) : IQuery<IReadOnlyList<ModelItem>>;

public sealed record ModelItem(
    Guid Id, string Name, ModelKind Kind, RunStage? Stage, Guid? RunId, Guid? ParentId, string? Parent, long Bytes, DateTimeOffset CreatedAt, DateTimeOffset? PromotedAt,
    IReadOnlyDictionary<string, double> Metrics);

internal sealed class ListModelsHandler(LabelingDbContext db) : IHandler<ListModels, IReadOnlyList<ModelItem>>
{
    public async ValueTask<Result<IReadOnlyList<ModelItem>>> Handle(ListModels request, CancellationToken cancellationToken) =>
        await ModelViews.ReadAsync(db, db.Models.Where(model => model.ProjectId == request.ProjectId).OrderByDescending(model => model.CreatedAt).ThenByDescending(model => model.Id), cancellationToken);
}

internal static class ModelViews
{
    public static async Task<List<ModelItem>> ReadAsync(LabelingDbContext db, IQueryable<ModelCheckpoint> models, CancellationToken cancel)
    {
        var rows = await models.Select(model => new
        {
            model.Id,
            model.Name,
            model.Kind,
            Stage = model.Run == null ? null : (RunStage?)model.Run.Stage,
            model.RunId,
            model.ParentId,
            Parent = db.Models.Where(parent => parent.Id == model.ParentId).Select(parent => parent.Name).FirstOrDefault(),
            Bytes = model.Files.Sum(file => file.Bytes),
            model.CreatedAt,
            model.PromotedAt,
            model.Metrics,
        }).ToListAsync(cancel);
        return [.. rows.Select(row => new ModelItem(
            row.Id, row.Name, row.Kind, row.Stage, row.RunId, row.ParentId, row.Parent, row.Bytes, row.CreatedAt, row.PromotedAt, RunFigures.Read(row.Metrics)))];
    }
}
