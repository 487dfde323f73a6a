using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.TrainingRuns;

/// <summary>
/// Queues one stage. Hyperparameters are checked against Runs/stages.json: an unknown name or impossible value is a problem naming the field and the nearest valid one.
/// <paramref name="Id"/> is made by the client. Sft and sample and ppo need policies in <paramref name="BaseModelIds"/> (sample: one or more, others exactly one);
/// reward starts from the SFT policy; ppo also needs <paramref name="RewardModelId"/>.
/// </summary>
[Allow(Roles.Admin)]
public sealed record StartRun(
    Actor Actor, Guid Id, Guid ProjectId, string Name, RunStage Stage, Guid DatasetVersionId, IReadOnlyList<Guid> BaseModelIds, Guid? RewardModelId,
    IReadOnlyDictionary<string, object?> Hyperparameters, long? Seed = null, bool CreateRankingTasks = false, string? Batch = null) : IRequest<Guid>;
