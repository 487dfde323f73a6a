using System.Security.Claims;
using Labeling.Core.Features;
using Labeling.Core.Features.Rankings;
using Labeling.Web.Accounts;
using Mediator;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Labeling.Web.Api;

internal static class RankingsApi
{
    public static void MapRankings(this RouteGroupBuilder api) =>
        api.MapGet("/projects/{id:guid}/rankings", List).WithTags("Rankings").WithName("ListRankings")
            .WithSummary("Finished rankings with each answer's model, page by page. Admins only.")
            .WithDescription("Pass `next` of one page as `after` of the following one. `batch` keeps to the tasks of one sample run or comparison.");

    private static async Task<Results<Ok<Page<RankingView>>, ProblemHttpResult>> List(
        Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel, string? batch = null, string? after = null, int size = 100) =>
        (await sender.Send(new ListRankings(user.Actor(), id, batch, after, size), cancel)).ToOk();
}
