using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.ApiKeys;

/// <summary>Ends one of the actor's own keys at once.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record RevokeApiKey(Actor Actor, Guid Id) : IRequest<Done>;

internal sealed class RevokeApiKeyHandler(LabelingDbContext db, TimeProvider clock) : IHandler<RevokeApiKey, Done>
{
    public async ValueTask<Result<Done>> Handle(RevokeApiKey request, CancellationToken cancellationToken)
    {
        var key = await db.ApiKeys.SingleOrDefaultAsync(k => k.Id == request.Id && k.UserId == request.Actor.UserId, cancellationToken);
        if (key is null) return Problem.NotFound("The API key");
        if (key.RevokedAt is not null) return new Done();
        key.RevokedAt = clock.GetUtcNow();
        db.Record(request.Actor, "api_key.revoked", key.Id, key.Name);
        await db.SaveChangesAsync(cancellationToken);
        return new Done();
    }
}
