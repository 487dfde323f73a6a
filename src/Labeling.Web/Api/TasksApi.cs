using System.Security.Claims;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Web.Accounts;
using Labeling.Web.Api.OpenApi;
using Mediator;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Labeling.Web.Api;

internal static class TasksApi
{
    public static void MapTasks(this RouteGroupBuilder api)
    {
        var tasks = api.MapGroup("").WithTags("Tasks");
        tasks.MapPost("/projects/{id:guid}/tasks/next", Next).WithName("TakeNextTask").WithSummary("Takes the next task of a kind, or answers 204 when nothing waits.")
            .WithDescription("A task that is already yours and still open comes back first. The lease runs by the server's clock; every saved draft and every renewal prolongs it.");
        tasks.MapGet("/queue", Queue).WithName("GetQueue").WithSummary("What waits for you, and what you have open.");
    }

    private static async Task<Results<Ok<TakenTask>, NoContent, ProblemHttpResult>> Next(
        Guid id, NextTask body, ClaimsPrincipal user, ISender sender, CancellationToken cancel)
    {
        var claim = await sender.Send(new ClaimTask(user.Actor(), id, body.Kind), cancel);
        if (!claim.Ok)
        {
            return Answers.Problem(claim.Problem!);
        }

        if (claim.Value is not { } assignment)
        {
            return TypedResults.NoContent();
        }

        var work = await sender.Send(new GetAssignment(user.Actor(), assignment.AssignmentId), cancel);
        return work.Ok ? TypedResults.Ok(new TakenTask(assignment, work.Value)) : Answers.Problem(work.Problem!);
    }

    private static async Task<Results<Ok<QueueView>, ProblemHttpResult>> Queue(ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new GetQueue(user.Actor()), cancel)).ToOk();
}

/// <summary>Which kind of task to take.</summary>
public sealed record NextTask(TaskKind Kind) : IExample<NextTask>
{
    public static NextTask Example { get; } = new(TaskKind.Ranking);
}

/// <summary>The lease and everything needed to do the work.</summary>
public sealed record TakenTask(ClaimedTask Assignment, AssignmentView Work);
