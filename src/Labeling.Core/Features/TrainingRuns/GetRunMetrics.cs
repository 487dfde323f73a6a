using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.TrainingRuns;

/// <summary>Metric points after a step, thinned to at most <paramref name="MaxPoints"/> per series for a chart.</summary>
[Allow(Roles.Admin)]
public sealed record GetRunMetrics(Actor Actor, Guid Id, int AfterStep = 0, int MaxPoints = 500) : IQuery<IReadOnlyList<MetricPoint>>;

public sealed record MetricPoint(int Step, DateTimeOffset Time, IReadOnlyDictionary<string, double> Values);

internal sealed class GetRunMetricsValidator : AbstractValidator<GetRunMetrics>
{
    public GetRunMetricsValidator() => RuleFor(request => request.MaxPoints).InclusiveBetween(2, 10_000);
}

internal sealed class GetRunMetricsHandler(LabelingDbContext db) : IHandler<GetRunMetrics, IReadOnlyList<MetricPoint>>
{
    public async ValueTask<Result<IReadOnlyList<MetricPoint>>> Handle(GetRunMetrics request, CancellationToken cancellationToken)
    {
        if (!await db.TrainingRuns.AnyAsync(run => run.Id == request.Id, cancellationToken)) return Problem.NotFound("The run");
        var lines = await db.RunMetrics.AsNoTracking().Where(metric => metric.RunId == request.Id && metric.Step > request.AfterStep).OrderBy(metric => metric.Step)
            .Select(metric => new { metric.Step, metric.Time, metric.Values }).ToListAsync(cancellationToken);
        return Thin([.. lines.Select(line => new MetricPoint(line.Step, line.Time, RunFigures.Read(line.Values)))], request.MaxPoints);
    }

    /// <summary>Thins each series by itself, evenly and with both ends: an evaluation that comes every hundred steps keeps all its points.</summary>
    private static List<MetricPoint> Thin(List<MetricPoint> points, int max)
    {
        if (points.Count <= max) return points;
        var kept = points.Select(_ => new Dictionary<string, double>()).ToList();
        foreach (var name in points.SelectMany(point => point.Values.Keys).Distinct())
        {
            var places = Enumerable.Range(0, points.Count).Where(i => points[i].Values.ContainsKey(name)).ToList();
            var count = Math.Min(max, places.Count);
            for (var i = 0; i < count; i++)
            {
                var place = places[count == 1 ? 0 : (int)((long)i * (places.Count - 1) / (count - 1))];
                kept[place][name] = points[place].Values[name];
            }
        }
        return [.. points.Select((point, i) => point with { Values = kept[i] }).Where(point => point.Values.Count > 0)];
    }
}
