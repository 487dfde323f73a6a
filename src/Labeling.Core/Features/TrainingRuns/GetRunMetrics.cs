using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.TrainingRuns;

/// <summary>Metric points after a step, thinned to at most <paramref name="MaxPoints"/> per series for a chart.</summary>
[Allow(Roles.Admin)]
public sealed record GetRunMetrics(Actor Actor, Guid Id, int AfterStep = 0, int MaxPoints = 500) : IQuery<IReadOnlyList<MetricPoint>>;

public sealed record MetricPoint(int Step, DateTimeOffset Time, IReadOnlyDictionary<string, double> Values);
