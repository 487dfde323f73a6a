using System.Text.Json;
using System.Text.RegularExpressions;
using Labeling.Web.Api.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Http.Metadata;

namespace Labeling.Web.Api;

/// <summary>
/// Around everything under /api: a request that could not be read, an address that is not there and an unexpected failure all end as a problem document.
/// No stack trace, SQL or path leaves the server.
/// </summary>
internal sealed partial class ApiErrors(RequestDelegate next, ILogger<ApiErrors> log)
{
    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context);
            if (context.Response is { HasStarted: false, StatusCode: >= 400, ContentType: null })
            {
                await Bare(context.Response.StatusCode).ExecuteAsync(context);
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody is there to read an answer.
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await Unreadable(context, e).ExecuteAsync(context);
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            LogFailure(context.Request.Method, context.Request.Path, e);
            context.Response.Clear();
            await Answers.Problem(StatusCodes.Status500InternalServerError, $"Something went wrong on the server. Its log has the reason under {context.TraceIdentifier}.")
                .ExecuteAsync(context);
        }
    }

    /// <summary>What routing and the server answer by status alone.</summary>
    private static ProblemHttpResult Bare(int status) =>
        Answers.Problem(
            status,
            status switch
            {
                StatusCodes.Status404NotFound => "The API has no such address.",
                StatusCodes.Status413PayloadTooLarge => "The body is larger than this address takes.",
                StatusCodes.Status415UnsupportedMediaType => "The body has to be JSON: send Content-Type: application/json.",
                _ => "The request was refused.",
            });

    private static ProblemHttpResult Unreadable(HttpContext context, BadHttpRequestException e)
    {
        if (e.StatusCode != StatusCodes.Status400BadRequest)
        {
            return Bare(e.StatusCode);
        }

        var body = context.GetEndpoint()?.Metadata.GetMetadata<IAcceptsMetadata>()?.RequestType;
        if (e.InnerException is JsonException json)
        {
            return Answers.Invalid(JsonProblems.Describe(json, body));
        }

        var name = ParameterName().Match(e.Message);
        return name.Success && name.Groups[1].Value != "body"
            ? Answers.Invalid(name.Groups[1].Value, "This is missing or cannot be read.")
            : body is not null
                ? Answers.Invalid("body", "A JSON object is required here.")
                : Answers.Problem(e.StatusCode, "The request could not be read.");
    }

    // The framework's sentences: Failed to bind parameter "Guid importId" from "x". / Required parameter "Guid importId" was not provided from query string.
    [GeneratedRegex("parameter \"\\S+ (\\w+)\" (?:from|was not provided from)")]
    private static partial Regex ParameterName();

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path} failed")]
    private partial void LogFailure(string method, string path, Exception e);
}
