using System.Security.Claims;
using Labeling.Core.Features.Prompts;
using Labeling.Web.Accounts;
using Labeling.Web.Api.Json;
using Mediator;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace Labeling.Web.Api;

internal static class PromptsApi
{
    public static void MapPrompts(this RouteGroupBuilder api) =>
        api.MapPost("/projects/{id:guid}/prompts", Import).WithTags("Prompts").WithName("ImportPrompts").WithSummary("Imports prompts from JSONL. Admins only.")
            .WithDescription(
                """
                The body is JSONL of any length, one object a line: `prompt` (text) or `messages` (a list of `role` and `content`, the last from the user), and optionally `id`,
                `category`, `language`, `author`, `split` (train, valid or test), `consent`. It is read as it arrives. Bad lines come back with their numbers and reasons;
                `onBadLine=rejectAll` keeps nothing when there is one. A retry with the same `importId` answers the first report.
                """)
            .AddOpenApiOperationTransformer(DescribeBody)
            .WithMetadata(new ApiSetup.BodySize(null));

    /// <param name="importId">Made by you: one id is one import.</param>
    /// <param name="fileName">The name people will see in the list of imports.</param>
    /// <param name="onBadLine">keepGood or rejectAll.</param>
    /// <param name="createDemonstrationTasks">Whether people are asked for a demonstration of every prompt.</param>
    public static async Task<Results<Ok<ImportReport>, ProblemHttpResult>> Import(
        Guid id, Guid importId, HttpRequest request, ClaimsPrincipal user, ISender sender, CancellationToken cancel,
        string fileName = "api.jsonl", string onBadLine = "keepGood", bool createDemonstrationTasks = false)
    {
        if (request.HasFormContentType)
        {
            return Answers.Problem(StatusCodes.Status415UnsupportedMediaType, "Send the JSONL itself as the body (Content-Type: application/jsonl), not a form.");
        }

        return EnumText<OnBadLine>.TryParse(onBadLine, out var choice)
            ? (await sender.Send(new ImportPrompts(user.Actor(), importId, id, fileName, request.Body, choice, createDemonstrationTasks), cancel)).ToOk()
            : Answers.Invalid("onBadLine", $"This has to be one of: {EnumText<OnBadLine>.Choices}.");
    }

    // The body is the request stream itself, which the document's generator does not see.
    private static Task DescribeBody(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancel)
    {
        operation.RequestBody = new OpenApiRequestBody
        {
            Required = true,
            Content = new Dictionary<string, OpenApiMediaType>
            {
                ["application/jsonl"] = new()
                {
                    Schema = new OpenApiSchema { Type = JsonSchemaType.String },
                    Example = """
                              {"prompt": "When does the library open?", "category": "open QA"}
                              {"messages": [{"role": "user", "content": "Reverse: abc"}], "id": "r-17", "split": "valid"}
                              """,
                },
            },
        };
        return Task.CompletedTask;
    }
}
