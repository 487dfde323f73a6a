using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.TrainingRuns;

[Allow(Roles.Admin)]
public sealed record ListRuns(Actor Actor, Guid ProjectId, string? After = null, int Size = 50) : IQuery<Page<RunItem>>;

public sealed record RunItem(
    Guid Id, string Name, RunStage Stage, RunState State, int Step, int? TotalSteps, string? Phase, DateTimeOffset CreatedAt, DateTimeOffset? StartedAt,
    DateTimeOffset? FinishedAt, string? FailureReason, Guid? ModelId);
