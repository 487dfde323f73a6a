using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.TrainingRuns;

[Allow(Roles.Admin)]
public sealed record GetRun(Actor Actor, Guid Id) : IQuery<RunDetails>;

/// <param name="SecondsLeft">Estimated from the steps done so far in this attempt; null while unknown.</param>
/// <param name="Result">The final figures by name.</param>
public sealed record RunDetails(
    RunItem Run, Guid ProjectId, RunChoice Dataset, IReadOnlyList<RunModelView> Models, IReadOnlyDictionary<string, string> Hyperparameters, long Seed, string? Batch,
    int Attempt, int MaxAttempts, bool CancelRequested, double? SecondsLeft, string? LogTail, IReadOnlyDictionary<string, double> Result, string? StartedBy, string? Worker);

public sealed record RunModelView(Guid Id, string Name, RunModelRole Role);
