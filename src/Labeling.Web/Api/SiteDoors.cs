using Microsoft.AspNetCore.Antiforgery;

namespace Labeling.Web.Api;

/// <summary>
/// Files of the admin pages: they travel by HTTP under /app, not through the circuit. The same handlers as the API's; here the cookie says who asks,
/// and what changes something needs the form token.
/// </summary>
internal static class SiteDoors
{
    public static void MapSiteDoors(this IEndpointRouteBuilder app)
    {
        var doors = app.MapGroup("/app").RequireAuthorization().ExcludeFromDescription();
        doors.MapPost("/projects/{id:guid}/prompts", PromptsApi.Import).WithMetadata(new ApiSetup.BodySize(null)).AddEndpointFilter(FormToken);
        doors.MapGet("/datasets/{id:guid}/{split}.jsonl", DatasetsApi.Download);
        doors.MapGet("/models/{id:guid}/files/{**path}", ModelsApi.Download);
    }

    private static async ValueTask<object?> FormToken(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var antiforgery = context.HttpContext.RequestServices.GetRequiredService<IAntiforgery>();
        return await antiforgery.IsRequestValidAsync(context.HttpContext)
            ? await next(context)
            : Answers.Problem(StatusCodes.Status400BadRequest, "The page is older than your sign-in. Load it again and repeat.");
    }
}
