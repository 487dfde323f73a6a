using System.Security.Claims;
using Labeling.Core.Features.Demonstrations;
using Labeling.Core.Features.Rankings;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Web.Accounts;
using Labeling.Web.Api.OpenApi;
using Mediator;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Labeling.Web.Api;

internal static class AssignmentsApi
{
    public static void MapAssignments(this RouteGroupBuilder api)
    {
        var assignments = api.MapGroup("/assignments/{id:guid}").WithTags("Assignments");
        assignments.MapGet("", Get).WithName("GetAssignment").WithSummary("Reads one of your assignments: prompt, guidelines, answers to rank, draft.");
        assignments.MapPut("/draft", SaveDraft).WithName("SaveDraft").WithSummary("Keeps what you have so far and prolongs the lease.")
            .WithDescription("`basedOn` is the draft version you started from. When another window saved first, the answer is 409 and carries the stored text.");
        assignments.MapPost("/renew", Renew).WithName("RenewLease").WithSummary("Prolongs the lease while you work.");
        assignments.MapPost("/skip", Skip).WithName("SkipAssignment").WithSummary("Gives the task back with a reason. You do not get it again.");
        assignments.MapPost("/demonstration", SubmitDemonstration).WithName("SubmitDemonstration").WithSummary("Submits the demonstration you wrote.")
            .WithDescription("The id is made by you: a retry with the same id answers the first result. Work that comes after the lease ran out is kept.");
        assignments.MapPost("/ranking", SubmitRanking).WithName("SubmitRanking").WithSummary("Submits a ranking of exactly the answers shown.")
            .WithDescription("Rank 1 is best; equal ranks are a tie. The id is made by you: a retry with the same id answers the first result.");
    }

    private static async Task<Results<Ok<AssignmentView>, ProblemHttpResult>> Get(Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new GetAssignment(user.Actor(), id), cancel)).ToOk();

    private static async Task<Results<Ok<SavedDraft>, ProblemHttpResult>> SaveDraft(Guid id, Draft body, ClaimsPrincipal user, ISender sender, CancellationToken cancel)
    {
        var saved = await sender.Send(new SaveDraft(user.Actor(), id, body.BasedOn, body.Text), cancel);
        return saved.Ok && saved.Value is { Conflict: true } stored
            ? Answers.Problem(
                StatusCodes.Status409Conflict, "Another window saved a newer draft. Its text is in storedText.",
                new("version", stored.Version), new("savedAt", stored.SavedAt), new("expiresAt", stored.ExpiresAt), new("conflict", true), new("storedText", stored.StoredText))
            : saved.ToOk();
    }

    private static async Task<Results<Ok<Lease>, ProblemHttpResult>> Renew(Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel)
    {
        var renewed = await sender.Send(new RenewLease(user.Actor(), id), cancel);
        return renewed.Ok ? TypedResults.Ok(new Lease(renewed.Value)) : Answers.Problem(renewed.Problem!);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> Skip(Guid id, Skipped body, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new SkipAssignment(user.Actor(), id, body.Reason), cancel)).ToNoContent();

    private static async Task<Results<Ok<Submitted>, ProblemHttpResult>> SubmitDemonstration(
        Guid id, NewDemonstration body, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new SubmitDemonstration(user.Actor(), body.Id, id, body.Text, body.SecondsSpent), cancel)).ToOk();

    private static async Task<Results<Ok<Submitted>, ProblemHttpResult>> SubmitRanking(
        Guid id, NewRanking body, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(
            new SubmitRanking(
                user.Actor(), body.Id, id, body.Answers, body.Strength, body.NoneAcceptable, body.Notes,
                body.Ratings?.Select(r => new AnswerRating(r.CompletionId, r.Quality, r.Flags)).ToList(), body.SecondsSpent), cancel)).ToOk();
}

/// <param name="BasedOn">The draft version the editor started from; 0 before the first draft.</param>
public sealed record Draft(int BasedOn, string Text) : IExample<Draft>
{
    public static Draft Example { get; } = new(0, "Dear customer,");
}

public sealed record Lease(DateTimeOffset ExpiresAt);

public sealed record Skipped(string Reason) : IExample<Skipped>
{
    public static Skipped Example { get; } = new("The prompt is in a language I do not read.");
}

public sealed record NewDemonstration(Guid Id, string Text, int? SecondsSpent = null) : IExample<NewDemonstration>
{
    public static NewDemonstration Example { get; } = new(Guid.Parse("0199e0a2-1f0a-7d55-b2c0-5f0b5a3c9e21"), "The library opens at nine.", 95);
}

/// <param name="Strength">How much better the best is than the worst, 1 (negligibly) to 4 (significantly).</param>
public sealed record NewRanking(
    Guid Id, IReadOnlyList<RankedAnswer> Answers, int? Strength = null, bool NoneAcceptable = false, string? Notes = null, IReadOnlyList<NewRating>? Ratings = null,
    int? SecondsSpent = null) : IExample<NewRanking>
{
    public static NewRanking Example { get; } = new(
        Guid.Parse("0199e0a3-77d4-7b1e-9f3e-2d6a1c8b4f10"),
        [new(Guid.Parse("0199e0a1-0000-7000-8000-000000000001"), 1), new(Guid.Parse("0199e0a1-0000-7000-8000-000000000002"), 2)],
        Strength: 3,
        Ratings: [new(Guid.Parse("0199e0a1-0000-7000-8000-000000000002"), 2, CompletionFlags.Hallucination)]);
}

/// <param name="Quality">Overall quality, 1 to 7.</param>
public sealed record NewRating(Guid CompletionId, int? Quality = null, CompletionFlags Flags = CompletionFlags.None);
