using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.ApiKeys;

/// <summary>The actor's own keys.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record ListApiKeys(Actor Actor) : IQuery<IReadOnlyList<ApiKeyItem>>;

public sealed record ApiKeyItem(Guid Id, string Name, string Prefix, DateTimeOffset CreatedAt, DateTimeOffset? LastUsedAt, DateTimeOffset? RevokedAt);

internal sealed class ListApiKeysHandler(LabelingDbContext db) : IHandler<ListApiKeys, IReadOnlyList<ApiKeyItem>>
{
    public async ValueTask<Result<IReadOnlyList<ApiKeyItem>>> Handle(ListApiKeys request, CancellationToken cancellationToken) =>
        await db.ApiKeys.Where(k => k.UserId == request.Actor.UserId).OrderByDescending(k => k.CreatedAt)
            .Select(k => new ApiKeyItem(k.Id, k.Name, k.Prefix, k.CreatedAt, k.LastUsedAt, k.RevokedAt)).ToListAsync(cancellationToken);
}
