using System.Globalization;
using System.Security.Claims;
using System.Text.Encodings.Web;
using Labeling.Core.Features.ApiKeys;
using Labeling.Core.Pipeline;
using Mediator;
using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;

namespace Labeling.Web.Api.Keys;

internal sealed class ApiKeyOptions : AuthenticationSchemeOptions;

/// <summary>Signs a request in as the person whose API key it carries in <c>Authorization: Bearer</c>. A key in the address is never looked at.</summary>
internal sealed class ApiKeyHandler(IOptionsMonitor<ApiKeyOptions> options, ILoggerFactory logger, UrlEncoder encoder, ISender sender)
    : AuthenticationHandler<ApiKeyOptions>(options, logger, encoder)
{
    public new const string Scheme = "ApiKey";

    private const string Bearer = "Bearer ";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var header = Request.Headers.Authorization.ToString();
        if (!header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
        {
            return AuthenticateResult.NoResult();
        }

        var answer = await sender.Send(new AuthenticateApiKey(Actor.Anonymous, header[Bearer.Length..].Trim()), Context.RequestAborted);
        if (!answer.Ok)
        {
            return AuthenticateResult.Fail(answer.Problem!.Message);
        }

        var me = answer.Value;
        var identity = new ClaimsIdentity(
            [new Claim(ClaimTypes.NameIdentifier, me.Id.ToString("D", CultureInfo.InvariantCulture)), new Claim(ClaimTypes.Name, me.DisplayName)], Scheme);
        return AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), Scheme));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = "Bearer";
        var detail = Request.Headers.Authorization.Count == 0
            ? "Send an API key in the header Authorization: Bearer <key>. People make their keys on the page API keys of the site."
            : "This API key is unknown, revoked, or its person is shut out.";
        return Answers.Problem(StatusCodes.Status401Unauthorized, detail).ExecuteAsync(Context);
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties) =>
        Answers.Problem(StatusCodes.Status403Forbidden, "This is not yours to do.").ExecuteAsync(Context);
}
