using System.Security.Cryptography;
using System.Text.Json.Nodes;
using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Core.Runs;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.TrainingRuns;

/// <summary>
/// Queues one stage. Hyperparameters are checked against Runs/stages.json: an unknown name or impossible value is a problem naming the field and the nearest valid one.
/// <paramref name="Id"/> is made by the client. Every stage needs policies in <paramref name="BaseModelIds"/> (sample: one or more, others exactly one);
/// reward and dpo start from the SFT policy; ppo also needs <paramref name="RewardModelId"/>.
/// </summary>
[Allow(Roles.Admin)]
public sealed record StartRun(
    Actor Actor, Guid Id, Guid ProjectId, string Name, RunStage Stage, Guid DatasetVersionId, IReadOnlyList<Guid> BaseModelIds, Guid? RewardModelId,
    IReadOnlyDictionary<string, object?> Hyperparameters, long? Seed = null, bool CreateRankingTasks = false, string? Batch = null) : IRequest<Guid>;

internal sealed class StartRunValidator : AbstractValidator<StartRun>
{
    public StartRunValidator()
    {
        RuleFor(request => request.Name).NotEmpty().MaximumLength(200);
        RuleFor(request => request.Batch).MaximumLength(200);
        RuleFor(request => request.Seed).GreaterThanOrEqualTo(0);
    }
}

internal sealed class StartRunHandler(LabelingDbContext db, StageCatalog catalog) : IHandler<StartRun, Guid>
{
    internal const string AnswersPerPrompt = "answers_per_prompt";

    public async ValueTask<Result<Guid>> Handle(StartRun request, CancellationToken cancellationToken)
    {
        if (await db.TrainingRuns.AnyAsync(run => run.Id == request.Id, cancellationToken)) return request.Id;
        if (await db.Projects.AsNoTracking().SingleOrDefaultAsync(project => project.Id == request.ProjectId, cancellationToken) is not { } project) return Problem.NotFound("The project");
        if (project.ArchivedAt is not null) return Problem.Conflict("The project is archived. Runs can be started in open projects only.");
        if (await DatasetProblemAsync(request, cancellationToken) is { } badDataset) return badDataset;
        if (await ModelProblemAsync(request, cancellationToken) is { } badModel) return badModel;
        var hyperparameters = catalog.Check(request.Stage, request.Hyperparameters);
        if (hyperparameters.Problem is { } badValue) return badValue;
        if (RankingTaskProblem(request, project, hyperparameters.Value) is { } badTasks) return badTasks;

        var run = new TrainingRun
        {
            Id = request.Id,
            ProjectId = request.ProjectId,
            Name = request.Name.Trim(),
            Stage = request.Stage,
            Hyperparameters = hyperparameters.Value.ToJsonString(),
            Seed = request.Seed ?? RandomNumberGenerator.GetInt32(int.MaxValue),
            DatasetVersionId = request.DatasetVersionId,
            CreateRankingTasks = request.CreateRankingTasks,
            Batch = request.CreateRankingTasks ? request.Batch ?? request.Name.Trim() : null,
            CreatedById = request.Actor.UserId,
            Models = [.. Used(request)],
        };
        db.Record(request.Actor, "run.started", request.Id, $"{Stages.Title(request.Stage)}: {run.Name}");
        await RunQueue.EnqueueAsync(db, run, cancellationToken);
        return request.Id;
    }

    private static IEnumerable<TrainingRunModel> Used(StartRun request)
    {
        var role = request.Stage == RunStage.Sample ? RunModelRole.Sampled : RunModelRole.Base;
        var models = request.BaseModelIds.Select((id, i) => new TrainingRunModel { RunId = request.Id, ModelId = id, Role = role, Ordinal = i });
        return request.RewardModelId is { } reward ? models.Append(new() { RunId = request.Id, ModelId = reward, Role = RunModelRole.Reward }) : models;
    }

    private async Task<Problem?> DatasetProblemAsync(StartRun request, CancellationToken cancel)
    {
        const string field = "datasetVersionId";
        var dataset = await db.DatasetVersions.AsNoTracking().Where(dataset => dataset.Id == request.DatasetVersionId && dataset.ProjectId == request.ProjectId)
            .Select(dataset => new { dataset.Kind, Splits = dataset.Files.Select(file => file.Split).ToList() }).SingleOrDefaultAsync(cancel);
        if (dataset is null) return Problem.Invalid(field, "This dataset does not exist in this project.");
        var fitting = Stages.DatasetOf(request.Stage);
        if (dataset.Kind != fitting)
            return Problem.Invalid(field, $"{Stages.Title(request.Stage)} needs a dataset of {Words(fitting)}, this one holds {Words(dataset.Kind)}.");
        if (request.Stage != RunStage.Sample && !dataset.Splits.Contains(Split.Train))
            return Problem.Invalid(field, $"{Stages.Title(request.Stage)} learns from the split train, which is empty in this dataset. Freeze one with training rows.");
        return null;
    }

    private async Task<Problem?> ModelProblemAsync(StartRun request, CancellationToken cancel)
    {
        const string policies = "baseModelIds", reward = "rewardModelId";
        if (request.BaseModelIds.Count == 0) return Problem.Invalid(policies, "Choose the model to start from.");
        if (request.Stage != RunStage.Sample && request.BaseModelIds.Count > 1) return Problem.Invalid(policies, $"{Stages.Title(request.Stage)} starts from one model; only sampling takes several.");
        if (request.BaseModelIds.Distinct().Count() < request.BaseModelIds.Count) return Problem.Invalid(policies, "The same model is named twice.");
        if (request.Stage == RunStage.Ppo && request.RewardModelId is null) return Problem.Invalid(reward, "PPO needs a reward model to learn from.");
        if (request.Stage != RunStage.Ppo && request.RewardModelId is not null) return Problem.Invalid(reward, "Only PPO uses a reward model.");

        var asked = request.RewardModelId is { } rewardId ? request.BaseModelIds.Append(rewardId) : request.BaseModelIds;
        var kinds = await db.Models.Where(model => model.ProjectId == request.ProjectId && asked.Contains(model.Id)).ToDictionaryAsync(model => model.Id, model => model.Kind, cancel);
        foreach (var id in request.BaseModelIds)
        {
            if (!kinds.TryGetValue(id, out var kind)) return Problem.Invalid(policies, $"The model {id} does not exist in this project.");
            if (kind != ModelKind.Policy) return Problem.Invalid(policies, $"The model {id} is a reward model; {Stages.Title(request.Stage)} needs a policy.");
        }
        if (request.RewardModelId is { } chosen && (!kinds.TryGetValue(chosen, out var rewardKind) || rewardKind != ModelKind.Reward))
            return Problem.Invalid(reward, $"The model {chosen} is not a reward model of this project.");
        return null;
    }

    /// <summary>Also fills in how many answers are sampled when nobody said it: the project's K, shared by the models.</summary>
    private static Problem? RankingTaskProblem(StartRun request, Project project, JsonObject hyperparameters)
    {
        if (request.Stage != RunStage.Sample)
            return request.CreateRankingTasks ? Problem.Invalid("createRankingTasks", "Only sampling makes answers that people can rank.") : null;
        var models = request.BaseModelIds.Count;
        hyperparameters[AnswersPerPrompt] ??= Math.Max(1, project.AnswersPerPrompt / models);
        var shown = hyperparameters[AnswersPerPrompt]!.GetValue<int>() * models;
        return request.CreateRankingTasks && shown is (< Project.MinAnswers or > Project.MaxAnswers)
            ? Problem.Invalid($"hyperparameters.{AnswersPerPrompt}", $"People rank {Project.MinAnswers} to {Project.MaxAnswers} answers at once; this run would make {shown} per prompt ({models} model(s)).")
            : null;
    }

    private static string Words(DatasetKind kind) => kind.ToString().ToLowerInvariant();
}
