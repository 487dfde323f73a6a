using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing.Template;

namespace Labeling.Web.Api;

/// <summary>
/// The last address of the API, for what fits no other. Without it such a request would reach the site's own "not found" page, which asks for a sign-in.
/// It says whether the address is unknown, takes other methods, or another kind of body.
/// </summary>
internal static class NoSuchEndpoint
{
    public static void MapTheRest(this RouteGroupBuilder api) => api.Map("/{**rest}", Answer).ExcludeFromDescription();

    private static ProblemHttpResult Answer(HttpContext context, EndpointDataSource endpoints)
    {
        var methods = endpoints.Endpoints.OfType<RouteEndpoint>()
            .Where(e => e != context.GetEndpoint() && e.RoutePattern.RawText?.StartsWith(ApiSetup.Root + "/", StringComparison.Ordinal) == true && Fits(e, context.Request.Path))
            .SelectMany(e => e.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? [])
            .Distinct().Order(StringComparer.Ordinal).ToList();
        if (methods.Count == 0)
        {
            return Answers.Problem(StatusCodes.Status404NotFound, "The API has no such address.");
        }

        if (methods.Contains(context.Request.Method))
        {
            return Answers.Problem(StatusCodes.Status415UnsupportedMediaType, "The body has to be JSON: send Content-Type: application/json.");
        }

        context.Response.Headers.Allow = string.Join(", ", methods);
        return Answers.Problem(StatusCodes.Status405MethodNotAllowed, $"This address takes {string.Join(" and ", methods)} only.");
    }

    // Every identifier of the API is a UUID; no other constraint is in use.
    private static bool Fits(RouteEndpoint endpoint, PathString path)
    {
        var values = new RouteValueDictionary();
        var matcher = new TemplateMatcher(new RouteTemplate(endpoint.RoutePattern), []);
        return matcher.TryMatch(path, values) && (values["id"] is not string id || Guid.TryParse(id, out _));
    }
}
