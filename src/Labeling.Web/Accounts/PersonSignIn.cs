using System.Security.Claims;
using Labeling.Core.Model;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace Labeling.Web.Accounts;

/// <summary>Identity's sign-in, with two additions: a disabled person cannot sign in or stay in, and every refusal costs one password hash.</summary>
public sealed class PersonSignIn(
    UserManager<AppUser> users, IHttpContextAccessor context, IUserClaimsPrincipalFactory<AppUser> claims, IOptions<IdentityOptions> options,
    ILogger<SignInManager<AppUser>> log, IAuthenticationSchemeProvider schemes, IUserConfirmation<AppUser> confirmation, IPasswordHasher<AppUser> hasher)
    : SignInManager<AppUser>(users, context, claims, options, log, schemes, confirmation)
{
    private static readonly AppUser Nobody = new() { DisplayName = "" };
    private static string? _nobodysHash;

    public override Task<bool> CanSignInAsync(AppUser user) => Task.FromResult(user.DisabledAt is null);

    /// <summary>
    /// False for an unknown address, a wrong password, a locked and a disabled account alike, after the same work, so that the answer does not tell
    /// which addresses have an account.
    /// </summary>
    public async Task<bool> TrySignInAsync(string email, string password, bool remember)
    {
        var person = await UserManager.FindByEmailAsync(email.Trim());
        if (person is null || !await CanSignInAsync(person) || await UserManager.IsLockedOutAsync(person))
        {
            _nobodysHash ??= hasher.HashPassword(Nobody, Guid.NewGuid().ToString());
            hasher.VerifyHashedPassword(Nobody, _nobodysHash, password);
            return false;
        }

        var result = await PasswordSignInAsync(person, password, remember, lockoutOnFailure: true);
        return result.Succeeded;
    }

    /// <summary>Used for cookies every half minute: a person who was disabled meanwhile is out.</summary>
    public override async Task<AppUser?> ValidateSecurityStampAsync(ClaimsPrincipal? principal)
    {
        var person = await base.ValidateSecurityStampAsync(principal);
        return person is { DisabledAt: null } ? person : null;
    }
}
