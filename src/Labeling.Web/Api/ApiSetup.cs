using Labeling.Web.Api.Json;
using Labeling.Web.Api.Keys;
using Labeling.Web.Api.OpenApi;
using Microsoft.AspNetCore.Http.Metadata;

namespace Labeling.Web.Api;

/// <summary>The HTTP API under <c>/api/v1</c>: the same requests as the pages, for scripts. Every endpoint needs an API key.</summary>
public static class ApiSetup
{
    public const string Root = "/api/v1";

    /// <summary>Bodies that are not files. A text of 200,000 characters fits, each written as an escape.</summary>
    private const long BodyLimit = 2 * 1024 * 1024;

    private const string RateLimit = "api";

    public static void AddApi(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.ConfigureHttpJsonOptions(options => ApiJson.Configure(options.SerializerOptions));

        // Only the binder knows why a request cannot be read; ApiErrors says it to the sender.
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);

        services.AddAuthentication().AddScheme<ApiKeyOptions, ApiKeyHandler>(ApiKeyHandler.Scheme, null);
        services.AddAuthorizationBuilder().AddPolicy(ApiKeyHandler.Scheme, policy => policy.AddAuthenticationSchemes(ApiKeyHandler.Scheme).RequireAuthenticatedUser());
        services.AddRateLimiter(limits => limits.AddPolicy<string, ApiRateLimit>(RateLimit));
        services.AddApiDocument();
    }

    /// <summary>Comes before authentication, so that its failures are problem documents too.</summary>
    public static void UseApi(this WebApplication app) =>
        app.UseWhen(context => context.Request.Path.StartsWithSegments("/api") || context.Request.Path.StartsWithSegments("/app"), api => api.UseMiddleware<ApiErrors>());

    public static void MapApi(this WebApplication app)
    {
        var api = app.MapGroup(Root).RequireAuthorization(ApiKeyHandler.Scheme).RequireRateLimiting(RateLimit).DisableAntiforgery().WithMetadata(new BodySize(BodyLimit));
        api.MapProjects();
        api.MapPrompts();
        api.MapTasks();
        api.MapAssignments();
        api.MapRankings();
        api.MapDatasets();
        api.MapRuns();
        api.MapModels();
        api.MapTheRest();
        app.MapSiteDoors();
        app.MapApiDocument();
    }

    /// <summary>The largest body an endpoint reads, in bytes; null is no limit, for bodies that are streamed.</summary>
    internal sealed record BodySize(long? MaxRequestBodySize) : IRequestSizeLimitMetadata;
}
