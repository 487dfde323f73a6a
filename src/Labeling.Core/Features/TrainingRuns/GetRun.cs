using System.Text.Json;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.TrainingRuns;

[Allow(Roles.Admin)]
public sealed record GetRun(Actor Actor, Guid Id) : IQuery<RunDetails>;

/// <param name="SecondsLeft">Estimated from the pace of the last steps; null while unknown.</param>
/// <param name="Result">The final figures by name.</param>
public sealed record RunDetails(
    RunItem Run, Guid ProjectId, RunChoice Dataset, IReadOnlyList<RunModelView> Models, IReadOnlyDictionary<string, string> Hyperparameters, long Seed, string? Batch,
    int Attempt, int MaxAttempts, bool CancelRequested, double? SecondsLeft, string? LogTail, IReadOnlyDictionary<string, double> Result, string? StartedBy, string? Worker);

public sealed record RunModelView(Guid Id, string Name, RunModelRole Role);

internal sealed class GetRunHandler(LabelingDbContext db) : IHandler<GetRun, RunDetails>
{
    private const int StepsForPace = 40;

    public async ValueTask<Result<RunDetails>> Handle(GetRun request, CancellationToken cancellationToken)
    {
        var one = db.TrainingRuns.AsNoTracking().Where(run => run.Id == request.Id);
        var run = await one.Include(run => run.DatasetVersion).SingleOrDefaultAsync(cancellationToken);
        if (run is null) return Problem.NotFound("The run");
        var item = await RunViews.Of(db, one).SingleAsync(cancellationToken);
        var models = await db.TrainingRunModels.Where(used => used.RunId == request.Id).OrderBy(used => used.Role).ThenBy(used => used.Ordinal)
            .Select(used => new RunModelView(used.ModelId, used.Model!.Name, used.Role)).ToListAsync(cancellationToken);
        var startedBy = await db.Users.Where(user => user.Id == run.CreatedById).Select(user => user.DisplayName).SingleOrDefaultAsync(cancellationToken);
        var dataset = run.DatasetVersion!;
        return new RunDetails(
            item, run.ProjectId, new(dataset.Id, $"{dataset.Name} v{dataset.Number}", $"{dataset.RowCount:N0} rows"), models, Values(run.Hyperparameters), run.Seed, run.Batch,
            run.Attempt, run.MaxAttempts, run.CancelRequestedAt is not null, await SecondsLeftAsync(run, cancellationToken), run.LogTail,
            RunFigures.Read(run.Result), startedBy, run.LeaseOwner);
    }

    /// <summary>The median time of the last steps times the steps to go: a pause between two attempts does not spoil it.</summary>
    private async Task<double?> SecondsLeftAsync(TrainingRun run, CancellationToken cancel)
    {
        if (run is not { State: RunState.Running, TotalSteps: { } total } || run.Step >= total) return null;
        var last = await db.RunMetrics.Where(metric => metric.RunId == run.Id).OrderByDescending(metric => metric.Step).Take(StepsForPace)
            .Select(metric => new { metric.Step, metric.Time }).ToListAsync(cancel);
        var paces = last.Zip(last.Skip(1), (later, earlier) => (later.Time - earlier.Time).TotalSeconds / (later.Step - earlier.Step)).Order().ToList();
        return paces.Count == 0 ? null : Math.Max(0, paces[paces.Count / 2] * (total - run.Step));
    }

    private static Dictionary<string, string> Values(string json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.EnumerateObject().ToDictionary(value => value.Name, value => value.Value.ToString());
    }
}

/// <summary>Figures are kept as a JSON object of names and numbers.</summary>
internal static class RunFigures
{
    public static Dictionary<string, double> Read(string? json)
    {
        if (json is null) return [];
        using var document = JsonDocument.Parse(json);
        return document.RootElement.EnumerateObject().Where(value => value.Value.ValueKind == JsonValueKind.Number)
            .ToDictionary(value => value.Name, value => value.Value.GetDouble());
    }
}
