using System.Security.Cryptography;
using Labeling.Core.Data;
using Labeling.Core.Features.People;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.ApiKeys;

/// <summary>Who a secret belongs to. Compared in constant time; a revoked key or a disabled person is refused.</summary>
[AllowAnonymous]
public sealed record AuthenticateApiKey(Actor Actor, string Secret) : IRequest<Me>;

internal sealed class AuthenticateApiKeyHandler(LabelingDbContext db, TimeProvider clock) : IHandler<AuthenticateApiKey, Me>
{
    // "Last used" is for people to read: a busy key need not write at every call.
    private static readonly TimeSpan LastUsedGrain = TimeSpan.FromMinutes(1);

    public async ValueTask<Result<Me>> Handle(AuthenticateApiKey request, CancellationToken cancellationToken)
    {
        if (ApiKeySecret.PrefixOf(request.Secret) is not { } prefix) return Refused();
        var found = await db.ApiKeys.Where(k => k.Prefix == prefix && k.RevokedAt == null && k.User!.DisabledAt == null)
            .Select(k => new { k.Id, k.Hash, k.LastUsedAt, Me = new Me(k.User!.Id, k.User.DisplayName, k.User.Email!, k.User.Roles) })
            .SingleOrDefaultAsync(cancellationToken);
        if (found is null || !CryptographicOperations.FixedTimeEquals(found.Hash, Secret.Hash(request.Secret))) return Refused();

        var now = clock.GetUtcNow();
        if (found.LastUsedAt is null || now - found.LastUsedAt > LastUsedGrain)
        {
            await db.ApiKeys.Where(k => k.Id == found.Id).ExecuteUpdateAsync(set => set.SetProperty(k => k.LastUsedAt, now), cancellationToken);
        }

        return found.Me;
    }

    private static Problem Refused() => Problem.Forbidden("The API key is unknown or has been revoked.");
}
