using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

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
