using System.Globalization;
using System.Text.Json;
using Labeling.Core.Features.Datasets;
using Labeling.Core.Pipeline;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Labeling.Web.Api;

/// <summary>From Core's results to HTTP: values as JSON, problems as application/problem+json (RFC 9457) with the fields to change in <c>errors</c>.</summary>
internal static class Answers
{
    public static Results<Ok<T>, ProblemHttpResult> ToOk<T>(this Result<T> result) =>
        result.Problem is { } problem ? Problem(problem) : TypedResults.Ok(result.Value);

    public static Results<NoContent, ProblemHttpResult> ToNoContent(this Result<Done> result) =>
        result.Problem is { } problem ? Problem(problem) : TypedResults.NoContent();

    public static Results<Created<Created>, ProblemHttpResult> ToCreated(this Result<Guid> result, string noun) =>
        result.Problem is { } problem ? Problem(problem) : TypedResults.Created($"{ApiSetup.Root}/{noun}/{result.Value}", new Created(result.Value));

    public static Results<FileStreamHttpResult, ProblemHttpResult> ToFile(this Result<DownloadFile> result, string contentType) =>
        result.Problem is { } problem ? Problem(problem) : TypedResults.Stream(result.Value.Content, contentType, result.Value.FileName);

    public static ProblemHttpResult Problem(Problem problem) =>
        problem.Kind switch
        {
            ProblemKind.Invalid => Invalid(problem.Fields, problem.Message),
            ProblemKind.Forbidden => Problem(StatusCodes.Status403Forbidden, problem.Message),
            ProblemKind.NotFound => Problem(StatusCodes.Status404NotFound, problem.Message),
            ProblemKind.Conflict => Problem(StatusCodes.Status409Conflict, problem.Message),
            _ => throw new InvalidOperationException($"No status for {problem.Kind}."),
        };

    public static ProblemHttpResult Problem(int status, string detail, params IEnumerable<KeyValuePair<string, object?>> more) =>
        TypedResults.Problem(detail, statusCode: status, title: Title(status), extensions: more);

    public static ProblemHttpResult Invalid(IReadOnlyDictionary<string, string[]>? fields, string? detail = null)
    {
        var errors = (fields ?? new Dictionary<string, string[]>()).ToDictionary(f => FieldPath(f.Key), f => f.Value);
        detail ??= string.Join(' ', errors.Select(f => $"{f.Key}: {string.Join(' ', f.Value)}"));
        return Problem(StatusCodes.Status400BadRequest, detail, KeyValuePair.Create("errors", (object?)errors));
    }

    public static ProblemHttpResult Invalid(string field, string message) => Invalid(new Dictionary<string, string[]> { [field] = [message] });

    /// <summary>A C# path such as <c>Rules.LeaseMinutes</c> as the sender knows it: <c>rules.leaseMinutes</c>.</summary>
    private static string FieldPath(string path) => string.Join('.', path.Split('.').Select(JsonNamingPolicy.CamelCase.ConvertName));

    private static string Title(int status) =>
        status switch
        {
            400 => "Invalid request",
            401 => "Not signed in",
            403 => "Not allowed",
            404 => "Not found",
            405 => "Method not allowed",
            409 => "Conflict",
            413 => "Too large",
            415 => "Wrong content type",
            429 => "Too many requests",
            500 => "Server error",
            _ => status.ToString(CultureInfo.InvariantCulture),
        };
}

/// <summary>The id of what was made, as the client chose it.</summary>
public sealed record Created(Guid Id);
