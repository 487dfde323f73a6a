using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.ApiKeys;

/// <summary>The actor's own keys.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record ListApiKeys(Actor Actor) : IQuery<IReadOnlyList<ApiKeyItem>>;

public sealed record ApiKeyItem(Guid Id, string Name, string Prefix, DateTimeOffset CreatedAt, DateTimeOffset? LastUsedAt, DateTimeOffset? RevokedAt);
