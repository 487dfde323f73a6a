using Labeling.Core.Features.Demonstrations;
using Labeling.Core.Features.Rankings;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Web.Accounts;
using Labeling.Web.Api;
using Mediator;
using Microsoft.AspNetCore.Mvc;

namespace Labeling.Web.Labels;

/// <summary>
/// The doors the labeling pages use from their own scripts: long texts travel by HTTP, outside the circuit, so that saving works while the circuit
/// is down. Same person, same requests, same pipeline as everywhere else; every write needs the form token.
/// </summary>
public static class LabelEndpoints
{
    /// <summary>Bytes of one body: room for the longest text when every character is written as a JSON escape.</summary>
    public const int MaxBody = 4 * 1024 * 1024;

    public static void MapLabels(this WebApplication app)
    {
        var doors = app.MapGroup("/app").WithMetadata(new RequestSizeLimitAttribute(MaxBody)).AddEndpointFilter<FormTokenFilter>();

        doors.MapGet("/session", Session);
        doors.MapGet("/assignments/{id:guid}/draft", GetDraft);
        doors.MapPut("/assignments/{id:guid}/draft", SaveDraft);
        doors.MapPost("/assignments/{id:guid}/renew", Renew);
        doors.MapPost("/assignments/{id:guid}/skip", Skip);
        doors.MapPost("/assignments/{id:guid}/demonstration", SubmitDemonstration);
        doors.MapPost("/assignments/{id:guid}/ranking", SubmitRanking);
        doors.MapPost("/projects/{projectId:guid}/next", Next);
    }

    /// <summary>A fresh form token, e.g. after signing in again in another tab.</summary>
    private static IResult Session(HttpContext context, Microsoft.AspNetCore.Antiforgery.IAntiforgery antiforgery) =>
        Results.Ok(new SessionInfo(context.User.DisplayName(), antiforgery.GetAndStoreTokens(context).RequestToken));

    private static async Task<IResult> GetDraft(Guid id, HttpContext context, ISender sender)
    {
        var found = await sender.Send(new GetAssignment(PersonClaims.Actor(context.User), id), context.RequestAborted);
        return found.Ok
            ? Results.Ok(new StoredDraft(found.Value.Draft, found.Value.DraftVersion, found.Value.DraftSavedAt, found.Value.ExpiresAt, found.Value.State.ToString()))
            : Answers.Problem(found.Problem!);
    }

    private static async Task<IResult> SaveDraft(Guid id, DraftBody body, HttpContext context, ISender sender)
    {
        var saved = await sender.Send(new SaveDraft(PersonClaims.Actor(context.User), id, body.BasedOn, body.Text), context.RequestAborted);
        return saved switch
        {
            { Ok: false } => Answers.Problem(saved.Problem!),
            { Value.Conflict: true } => Results.Json(saved.Value, statusCode: StatusCodes.Status409Conflict),
            _ => Results.Ok(saved.Value),
        };
    }

    private static async Task<IResult> Renew(Guid id, HttpContext context, ISender sender)
    {
        var renewed = await sender.Send(new RenewLease(PersonClaims.Actor(context.User), id), context.RequestAborted);
        return renewed.Ok ? Results.Ok(new Renewed(renewed.Value)) : Answers.Problem(renewed.Problem!);
    }

    private static async Task<IResult> Skip(Guid id, SkipBody body, HttpContext context, ISender sender)
    {
        var skipped = await sender.Send(new SkipAssignment(PersonClaims.Actor(context.User), id, body.Reason), context.RequestAborted);
        return skipped.Ok ? Results.NoContent() : Answers.Problem(skipped.Problem!);
    }

    private static async Task<IResult> SubmitDemonstration(Guid id, DemonstrationBody body, HttpContext context, ISender sender)
    {
        // Not aborted with the browser: a submission that has arrived is stored, and the retry finds it.
        var submitted = await sender.Send(new SubmitDemonstration(PersonClaims.Actor(context.User), body.Id, id, body.Text, body.SecondsSpent), CancellationToken.None);
        return submitted.Ok ? Results.Ok(submitted.Value) : Answers.Problem(submitted.Problem!);
    }

    private static async Task<IResult> SubmitRanking(Guid id, RankingBody body, HttpContext context, ISender sender)
    {
        var request = new SubmitRanking(
            PersonClaims.Actor(context.User), body.Id, id, body.Answers, body.Strength, body.NoneAcceptable, body.Notes,
            body.Ratings?.Select(r => new AnswerRating(r.CompletionId, r.Quality, (CompletionFlags)r.Flags)).ToList(), body.SecondsSpent);
        var submitted = await sender.Send(request, CancellationToken.None);
        return submitted.Ok ? Results.Ok(submitted.Value) : Answers.Problem(submitted.Problem!);
    }

    private static async Task<IResult> Next(Guid projectId, NextBody body, HttpContext context, ISender sender)
    {
        var claimed = await sender.Send(new ClaimTask(PersonClaims.Actor(context.User), projectId, body.Kind), CancellationToken.None);
        return claimed switch
        {
            { Ok: false } => Answers.Problem(claimed.Problem!),
            { Value: null } => Results.NoContent(),
            _ => Results.Ok(new NextTask(LabelPages.AddressOf(body.Kind, claimed.Value.AssignmentId))),
        };
    }

    public sealed record DraftBody(int BasedOn, string Text);

    public sealed record StoredDraft(string? Text, int Version, DateTimeOffset? SavedAt, DateTimeOffset ExpiresAt, string State);

    public sealed record SkipBody(string Reason);

    public sealed record DemonstrationBody(Guid Id, string Text, int? SecondsSpent);

    public sealed record RatingBody(Guid CompletionId, int? Quality, int Flags);

    public sealed record RankingBody(
        Guid Id, IReadOnlyList<RankedAnswer> Answers, int? Strength, bool NoneAcceptable, string? Notes, IReadOnlyList<RatingBody>? Ratings, int? SecondsSpent);

    public sealed record NextBody(TaskKind Kind);

    public sealed record NextTask(string Address);

    public sealed record Renewed(DateTimeOffset ExpiresAt);

    public sealed record SessionInfo(string Name, string? Token);
}

public static class LabelPages
{
    public static string AddressOf(TaskKind kind, Guid assignmentId) => $"/{(kind == TaskKind.Ranking ? "rank" : "work")}/{assignmentId}";
}
