using System.Security.Claims;
using Labeling.Core.Features.Datasets;
using Labeling.Core.Model;
using Labeling.Web.Accounts;
using Labeling.Web.Api.Json;
using Labeling.Web.Api.OpenApi;
using Mediator;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Labeling.Web.Api;

internal static class DatasetsApi
{
    public static void MapDatasets(this RouteGroupBuilder api)
    {
        var datasets = api.MapGroup("").WithTags("Datasets");
        datasets.MapPost("/projects/{id:guid}/datasets", Freeze).WithName("FreezeDataset").WithSummary("Freezes labels or prompts into an immutable, hashed dataset version. Admins only.")
            .WithDescription("All conditions of the filter hold together. The same selection of the same labels gives the same bytes.");
        datasets.MapGet("/projects/{id:guid}/datasets", List).WithName("ListDatasets").WithSummary("Lists a project's dataset versions. Admins only.");
        datasets.MapGet("/datasets/{id:guid}", Get).WithName("GetDataset").WithSummary("Reads a dataset version: its files, who labeled it, which runs used it. Admins only.");
        datasets.MapGet("/datasets/{id:guid}/files/{split}.jsonl", Download).WithName("DownloadDataset").WithSummary("Downloads one split as JSONL in TRL's shapes. Admins only.")
            .WithDescription("`split` is train, valid or test. Rankings come as `prompt` with K ranked `completions`; with `pairs=true` as `prompt`, `chosen`, `rejected`, ties left out.")
            .Produces(StatusCodes.Status200OK, contentType: "application/jsonl");
    }

    private static async Task<Results<Created<DatasetItemView>, ProblemHttpResult>> Freeze(
        Guid id, NewDataset body, ClaimsPrincipal user, ISender sender, CancellationToken cancel)
    {
        var frozen = await sender.Send(new FreezeDataset(user.Actor(), body.Id, id, body.Name, body.Kind, body.Filter ?? new()), cancel);
        return frozen.Ok ? TypedResults.Created($"{ApiSetup.Root}/datasets/{frozen.Value.Id}", frozen.Value) : Answers.Problem(frozen.Problem!);
    }

    private static async Task<Results<Ok<IReadOnlyList<DatasetItemView>>, ProblemHttpResult>> List(Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new ListDatasets(user.Actor(), id), cancel)).ToOk();

    private static async Task<Results<Ok<DatasetDetails>, ProblemHttpResult>> Get(Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new GetDataset(user.Actor(), id), cancel)).ToOk();

    /// <summary>Also behind the site's download links, where a cookie says who asks.</summary>
    public static async Task<Results<FileStreamHttpResult, ProblemHttpResult>> Download(
        Guid id, string split, ClaimsPrincipal user, ISender sender, CancellationToken cancel, bool pairs = false) =>
        EnumText<Split>.TryParse(split, out var which)
            ? (await sender.Send(new OpenDatasetFile(user.Actor(), id, which, pairs), cancel)).ToFile("application/jsonl")
            : Answers.Invalid("split", $"This has to be one of: {EnumText<Split>.Choices}.");
}

public sealed record NewDataset(Guid Id, string Name, DatasetKind Kind, DatasetFilter? Filter = null) : IExample<NewDataset>
{
    public static NewDataset Example { get; } =
        new(Guid.Parse("0199e0a4-2c5e-7e0d-8d11-6b7c8d9e0f12"), "Demonstrations of January", DatasetKind.Demonstrations, new(Splits: [Split.Train, Split.Valid]));
}
