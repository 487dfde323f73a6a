using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.TrainingRuns;

/// <summary>What the form of a stage should offer: fitting datasets and models, the newest fitting ones chosen, and the stage's hyperparameters.</summary>
[Allow(Roles.Admin)]
public sealed record SuggestRun(Actor Actor, Guid ProjectId, RunStage Stage) : IQuery<RunSuggestion>;

/// <param name="Missing">In plain words what has to exist first, or null when the run can start.</param>
public sealed record RunSuggestion(
    string Name, IReadOnlyList<RunChoice> Datasets, Guid? DatasetId, IReadOnlyList<RunChoice> Policies, Guid? PolicyId,
    IReadOnlyList<RunChoice> RewardModels, Guid? RewardModelId, IReadOnlyList<HyperparameterView> Hyperparameters, string? Missing, RunStage? NextStage);

public sealed record RunChoice(Guid Id, string Label, string Detail);

/// <param name="Type">int, float, bool, string or choice.</param>
public sealed record HyperparameterView(
    string Name, string Type, string? Default, double? Min, double? Max, IReadOnlyList<string>? Choices, string? Unit, string Help, string? Source);
