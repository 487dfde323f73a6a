using System.Security.Claims;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

namespace Labeling.Web.Accounts;

/// <summary>Builds the cookie's principal from the person: there are no role tables, the roles are flags on the person.</summary>
public sealed class PersonPrincipalFactory(UserManager<AppUser> users, IOptions<IdentityOptions> options)
    : UserClaimsPrincipalFactory<AppUser>(users, options)
{
    protected override async Task<ClaimsIdentity> GenerateClaimsAsync(AppUser user)
    {
        var identity = await base.GenerateClaimsAsync(user);
        identity.AddClaim(new Claim(ClaimTypes.GivenName, user.DisplayName));
        identity.AddClaims(PersonClaims.Each(user.Roles).Select(role => new Claim(identity.RoleClaimType, role.ToString())));
        return identity;
    }
}

public static class PersonClaims
{
    public static IEnumerable<Roles> Each(Roles roles) =>
        Enum.GetValues<Roles>().Where(role => role != Core.Model.Roles.None && roles.HasFlag(role));

    public static Actor Actor(this ClaimsPrincipal principal) =>
        Guid.TryParse(principal.FindFirstValue(ClaimTypes.NameIdentifier), out var id) ? Core.Pipeline.Actor.Person(id) : Core.Pipeline.Actor.Anonymous;

    public static string DisplayName(this ClaimsPrincipal principal) => principal.FindFirstValue(ClaimTypes.GivenName) ?? principal.Identity?.Name ?? "";

    /// <summary>What the principal was signed in with; the pipeline reads the present roles again at every request.</summary>
    public static Roles Roles(this ClaimsPrincipal principal) =>
        principal.FindAll(ClaimTypes.Role).Aggregate(
            Core.Model.Roles.None, (roles, claim) => roles | (Enum.TryParse<Roles>(claim.Value, out var role) ? role : Core.Model.Roles.None));

    public static bool May(this ClaimsPrincipal principal, Roles any)
    {
        var roles = principal.Roles();
        return roles.HasFlag(Core.Model.Roles.Admin) || (roles & any) != 0;
    }
}
