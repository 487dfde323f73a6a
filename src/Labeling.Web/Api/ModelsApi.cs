using System.Security.Claims;
using Labeling.Core.Features;
using Labeling.Core.Features.Models;
using Labeling.Core.Model;
using Labeling.Web.Accounts;
using Labeling.Web.Api.Json;
using Mediator;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Labeling.Web.Api;

internal static class ModelsApi
{
    public static void MapModels(this RouteGroupBuilder api)
    {
        var models = api.MapGroup("").WithTags("Models");
        models.MapGet("/projects/{id:guid}/models", List).WithName("ListModels").WithSummary("Lists a project's models. Admins only.");
        models.MapGet("/models/{id:guid}", Get).WithName("GetModel").WithSummary("Reads a model and all that made it: runs, datasets, people. Admins only.");
        models.MapGet("/models/{id:guid}/files/{**path}", Download).WithName("DownloadModelFile").WithSummary("Downloads one file of the model's Hugging Face folder. Admins only.")
            .Produces(StatusCodes.Status200OK, contentType: "application/octet-stream");
        models.MapGet("/models/{id:guid}/scores", Scores).WithName("GetModelScores").WithSummary("What a reward model gives the answers it was trained and validated on, page by page. Admins only.");
    }

    private static async Task<Results<Ok<IReadOnlyList<ModelItem>>, ProblemHttpResult>> List(Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new ListModels(user.Actor(), id), cancel)).ToOk();

    private static async Task<Results<Ok<ModelDetails>, ProblemHttpResult>> Get(Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new GetModel(user.Actor(), id), cancel)).ToOk();

    /// <summary>Also behind the site's download links, where a cookie says who asks.</summary>
    public static async Task<Results<FileStreamHttpResult, ProblemHttpResult>> Download(
        Guid id, string path, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new OpenModelFile(user.Actor(), id, path), cancel)).ToFile("application/octet-stream");

    private static async Task<Results<Ok<Page<ScoredAnswer>>, ProblemHttpResult>> Scores(
        Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel, string? split = null, string? after = null, int size = 500)
    {
        Split? which = null;
        if (split is not null)
        {
            if (!EnumText<Split>.TryParse(split, out var parsed))
            {
                return Answers.Invalid("split", $"This has to be one of: {EnumText<Split>.Choices}.");
            }

            which = parsed;
        }

        return (await sender.Send(new GetModelScores(user.Actor(), id, which, after, size), cancel)).ToOk();
    }
}
