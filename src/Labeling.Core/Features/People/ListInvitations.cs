using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.People;

[Allow(Roles.Admin)]
public sealed record ListInvitations(Actor Actor) : IQuery<IReadOnlyList<InvitationItem>>;

public sealed record InvitationItem(
    Guid Id, Roles Roles, string? Note, DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt, DateTimeOffset? UsedAt, string? UsedBy, DateTimeOffset? RevokedAt);
