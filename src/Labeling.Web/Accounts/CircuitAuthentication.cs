using Labeling.Core.Model;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.Components.Server;
using Microsoft.AspNetCore.Identity;

namespace Labeling.Web.Accounts;

/// <summary>A circuit lives for hours: every half minute it is asked whether its person may still be here with the same roles.</summary>
public sealed class CircuitAuthentication(ILoggerFactory loggers, IServiceScopeFactory scopes) : RevalidatingServerAuthenticationStateProvider(loggers)
{
    protected override TimeSpan RevalidationInterval => AccountExtensions.RevalidateAfter;

    protected override async Task<bool> ValidateAuthenticationStateAsync(AuthenticationState authenticationState, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var users = scope.ServiceProvider.GetRequiredService<UserManager<AppUser>>();
        var person = await users.GetUserAsync(authenticationState.User);
        return person is { DisabledAt: null }
            && person.Roles == authenticationState.User.Roles()
            && await users.GetSecurityStampAsync(person) == authenticationState.User.FindFirst(users.Options.ClaimsIdentity.SecurityStampClaimType)?.Value;
    }
}
