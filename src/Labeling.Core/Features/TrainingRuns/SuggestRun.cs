using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Core.Runs;
using Microsoft.EntityFrameworkCore;

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

internal sealed class SuggestRunHandler(LabelingDbContext db, StageCatalog catalog) : IHandler<SuggestRun, RunSuggestion>
{
    private sealed record Candidate(Guid Id, string Name, ModelKind Kind, RunStage? MadeBy, bool Promoted, DateTimeOffset CreatedAt);

    public async ValueTask<Result<RunSuggestion>> Handle(SuggestRun request, CancellationToken cancellationToken)
    {
        var project = await db.Projects.AsNoTracking().SingleOrDefaultAsync(project => project.Id == request.ProjectId, cancellationToken);
        if (project is null) return Problem.NotFound("The project");
        var kind = Stages.DatasetOf(request.Stage);
        var datasets = await db.DatasetVersions.Where(dataset => dataset.ProjectId == request.ProjectId && dataset.Kind == kind).OrderByDescending(dataset => dataset.Number)
            .Select(dataset => new RunChoice(dataset.Id, dataset.Name + " v" + dataset.Number, dataset.RowCount + " rows")).ToListAsync(cancellationToken);
        var models = await db.Models.Where(model => model.ProjectId == request.ProjectId).OrderByDescending(model => model.CreatedAt).ThenByDescending(model => model.Id)
            .Select(model => new Candidate(model.Id, model.Name, model.Kind, model.Run == null ? null : model.Run.Stage, model.PromotedAt != null, model.CreatedAt))
            .ToListAsync(cancellationToken);
        var policies = models.Where(model => model.Kind == ModelKind.Policy).ToList();
        var rewards = request.Stage == RunStage.Ppo ? models.Where(model => model.Kind == ModelKind.Reward).ToList() : [];
        var earlier = await db.TrainingRuns.CountAsync(run => run.ProjectId == request.ProjectId && run.Stage == request.Stage, cancellationToken);

        return new RunSuggestion(
            $"{Stages.Title(request.Stage)} {earlier + 1}", datasets, datasets.FirstOrDefault()?.Id,
            [.. policies.Select(Choice)], PolicyFor(request.Stage, policies)?.Id, [.. rewards.Select(Choice)], rewards.FirstOrDefault()?.Id,
            Hyperparameters(request.Stage, project), Missing(request.Stage, datasets.Count > 0, policies.Count > 0, rewards.Count > 0), Stages.Next(request.Stage));
    }

    /// <summary>Newest first in the list. SFT teaches the model from outside, the reward model, PPO and DPO start from the newest SFT policy, the project samples from the promoted one.</summary>
    private static Candidate? PolicyFor(RunStage stage, List<Candidate> policies) => stage switch
    {
        RunStage.Sft => policies.FirstOrDefault(model => model.MadeBy is null),
        RunStage.Sample => policies.FirstOrDefault(model => model.Promoted),
        _ => policies.FirstOrDefault(model => model.MadeBy == RunStage.Sft),
    } ?? policies.FirstOrDefault();

    private List<HyperparameterView> Hyperparameters(RunStage stage, Project project) =>
        [.. catalog.Hyperparameters(stage).Select(known => stage == RunStage.Sample && known.Name == StartRunHandler.AnswersPerPrompt
            ? known with { Default = project.AnswersPerPrompt.ToString(), Source = "the project's rules" }
            : known)];

    private static RunChoice Choice(Candidate model) =>
        new(model.Id, model.Name, $"{(model.MadeBy is { } stage ? Stages.Title(stage) : "from outside")}{(model.Promoted ? ", promoted" : "")}, {model.CreatedAt:yyyy-MM-dd}");

    private static string? Missing(RunStage stage, bool hasDataset, bool hasPolicy, bool hasReward) => (stage, hasDataset, hasPolicy, hasReward) switch
    {
        (_, _, false, _) => "There is no model to start from. Register a base model first.",
        (RunStage.Sft, false, _, _) => "There is no dataset of demonstrations. Have people write some, then freeze them into a dataset.",
        (RunStage.Reward or RunStage.Dpo, false, _, _) => "There is no dataset of rankings. Sample answers, have people rank them, then freeze the rankings into a dataset.",
        (_, false, _, _) => "There is no dataset of prompts. Import prompts, then freeze them into a dataset.",
        (RunStage.Ppo, _, _, false) => "There is no reward model. Train one on rankings first.",
        _ => null,
    };
}
