using System.Security.Claims;
using System.Text.Json;
using Labeling.Core.Features;
using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;
using Labeling.Web.Accounts;
using Labeling.Web.Api.OpenApi;
using Mediator;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Labeling.Web.Api;

internal static class RunsApi
{
    public static void MapRuns(this RouteGroupBuilder api)
    {
        var runs = api.MapGroup("").WithTags("Runs");
        runs.MapPost("/projects/{id:guid}/runs", Start).WithName("StartRun").WithSummary("Queues one training stage on a dataset version. Admins only.")
            .WithDescription(
                """
                `sft` and `sample` start from policies, `reward` and `dpo` from the SFT policy, `ppo` from the SFT policy and a reward model. `sample` takes several base models and samples every
                prompt from each. Hyperparameters that are left out take their documented defaults; an unknown or impossible one is named in the problem.
                """);
        runs.MapGet("/projects/{id:guid}/runs", List).WithName("ListRuns").WithSummary("Lists a project's runs, newest first, page by page. Admins only.");
        runs.MapGet("/runs/{id:guid}", Get).WithName("GetRun").WithSummary("Reads a run: state, progress, time left, log tail, final figures, the model it made. Admins only.");
        runs.MapGet("/runs/{id:guid}/metrics", Metrics).WithName("GetRunMetrics").WithSummary("Metric points after a step, thinned for a chart. Admins only.");
        runs.MapPost("/runs/{id:guid}/cancel", Cancel).WithName("CancelRun").WithSummary("Stops a run; a running one writes a checkpoint first. Admins only.");
        runs.MapPost("/runs/{id:guid}/retry", Retry).WithName("RetryRun").WithSummary("Queues a failed or cancelled run again; it goes on from its last checkpoint. Admins only.");
    }

    private static async Task<Results<Created<Created>, ProblemHttpResult>> Start(Guid id, NewRun body, ClaimsPrincipal user, ISender sender, CancellationToken cancel)
    {
        var hyperparameters = new Dictionary<string, object?>();
        foreach (var (name, value) in body.Hyperparameters ?? new Dictionary<string, JsonElement>())
        {
            if (Scalar(value) is not { } scalar)
            {
                return Answers.Invalid($"hyperparameters.{name}", "This has to be a number, text, true or false.");
            }

            hyperparameters[name] = scalar;
        }

        return (await sender.Send(
            new StartRun(
                user.Actor(), body.Id, id, body.Name, body.Stage, body.DatasetVersionId, body.BaseModelIds, body.RewardModelId, hyperparameters, body.Seed, body.CreateRankingTasks,
                body.Batch), cancel)).ToCreated("runs");
    }

    private static object? Scalar(JsonElement element) =>
        element.ValueKind switch
        {
            JsonValueKind.String => element.GetString(),
            JsonValueKind.Number => element.TryGetInt64(out var whole) ? whole : element.GetDouble(),
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => null,
        };

    private static async Task<Results<Ok<Page<RunItem>>, ProblemHttpResult>> List(
        Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel, string? after = null, int size = 50) =>
        (await sender.Send(new ListRuns(user.Actor(), id, after, size), cancel)).ToOk();

    private static async Task<Results<Ok<RunDetails>, ProblemHttpResult>> Get(Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new GetRun(user.Actor(), id), cancel)).ToOk();

    private static async Task<Results<Ok<IReadOnlyList<MetricPoint>>, ProblemHttpResult>> Metrics(
        Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel, int afterStep = 0, int maxPoints = 500) =>
        (await sender.Send(new GetRunMetrics(user.Actor(), id, afterStep, maxPoints), cancel)).ToOk();

    private static async Task<Results<NoContent, ProblemHttpResult>> Cancel(Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new CancelRun(user.Actor(), id), cancel)).ToNoContent();

    private static async Task<Results<NoContent, ProblemHttpResult>> Retry(Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new RetryRun(user.Actor(), id), cancel)).ToNoContent();
}

/// <param name="Hyperparameters">By name; what is left out takes its default.</param>
/// <param name="CreateRankingTasks">For sample: ask people to rank the answers.</param>
/// <param name="Batch">A name for the ranking tasks made, to find their rankings again.</param>
public sealed record NewRun(
    Guid Id, string Name, RunStage Stage, Guid DatasetVersionId, IReadOnlyList<Guid> BaseModelIds, Guid? RewardModelId = null,
    IReadOnlyDictionary<string, JsonElement>? Hyperparameters = null, long? Seed = null, bool CreateRankingTasks = false, string? Batch = null) : IExample<NewRun>
{
    public static NewRun Example { get; } = new(
        Guid.Parse("0199e0a5-9a3b-7f42-a6d0-1e2f3a4b5c13"), "First fine-tuning", RunStage.Sft, Guid.Parse("0199e0a4-2c5e-7e0d-8d11-6b7c8d9e0f12"),
        [Guid.Parse("0199e0a6-4d6f-7a18-b3c4-d5e6f7a8b914")],
        Hyperparameters: new Dictionary<string, JsonElement> { ["learning_rate"] = JsonSerializer.SerializeToElement(0.001) });
}
