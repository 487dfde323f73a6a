using Microsoft.AspNetCore.Antiforgery;

namespace Labeling.Web.Labels;

/// <summary>Refuses a write that does not carry this person's form token in its header: another site cannot make it.</summary>
public sealed class FormTokenFilter(IAntiforgery antiforgery) : IEndpointFilter
{
    public async ValueTask<object?> InvokeAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var method = context.HttpContext.Request.Method;
        if (!HttpMethods.IsGet(method) && !await antiforgery.IsRequestValidAsync(context.HttpContext))
        {
            return Results.Problem("The page's form token is missing or old. Load the page again; drafts are safe.", statusCode: 400, title: "Old form token");
        }

        return await next(context);
    }
}
