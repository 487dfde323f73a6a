using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.TrainingRuns;

/// <summary>Newest first, paged by key.</summary>
[Allow(Roles.Admin)]
public sealed record ListRuns(Actor Actor, Guid ProjectId, string? After = null, int Size = 50) : IQuery<Page<RunItem>>;

public sealed record RunItem(
    Guid Id, string Name, RunStage Stage, RunState State, int Step, int? TotalSteps, string? Phase, DateTimeOffset CreatedAt, DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt, string? FailureReason, Guid? ModelId);

internal sealed class ListRunsValidator : AbstractValidator<ListRuns>
{
    public ListRunsValidator()
    {
        RuleFor(request => request.After).MustBePageKey();
        RuleFor(request => request.Size).MustBePageSize();
    }
}

internal sealed class ListRunsHandler(LabelingDbContext db) : IHandler<ListRuns, Page<RunItem>>
{
    public async ValueTask<Result<Page<RunItem>>> Handle(ListRuns request, CancellationToken cancellationToken)
    {
        var runs = db.TrainingRuns.AsNoTracking().Where(run => run.ProjectId == request.ProjectId);
        if (PageKey.TryRead(request.After, out var at, out var id)) runs = runs.Where(run => run.CreatedAt < at || (run.CreatedAt == at && run.Id.CompareTo(id) < 0));
        var items = await RunViews.Of(db, runs.OrderByDescending(run => run.CreatedAt).ThenByDescending(run => run.Id).Take(request.Size + 1)).ToListAsync(cancellationToken);
        var page = items.Take(request.Size).ToList();
        return new Page<RunItem>(page, items.Count > request.Size ? PageKey.Write(page[^1].CreatedAt, page[^1].Id) : null);
    }
}

internal static class RunViews
{
    public static IQueryable<RunItem> Of(LabelingDbContext db, IQueryable<TrainingRun> runs) => runs.Select(run => new RunItem(
        run.Id, run.Name, run.Stage, run.State, run.Step, run.TotalSteps, run.Phase, run.CreatedAt, run.StartedAt, run.FinishedAt, run.FailureReason,
        db.Models.Where(model => model.RunId == run.Id).Select(model => (Guid?)model.Id).FirstOrDefault()));
}
