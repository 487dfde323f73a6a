using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.People;

/// <summary>The newest 500 links, without their secrets.</summary>
[Allow(Roles.Admin)]
public sealed record ListInvitations(Actor Actor) : IQuery<IReadOnlyList<InvitationItem>>;

public sealed record InvitationItem(
    Guid Id, Roles Roles, string? Note, DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt, DateTimeOffset? UsedAt, string? UsedBy, DateTimeOffset? RevokedAt);

internal sealed class ListInvitationsHandler(LabelingDbContext db) : IHandler<ListInvitations, IReadOnlyList<InvitationItem>>
{
    public async ValueTask<Result<IReadOnlyList<InvitationItem>>> Handle(ListInvitations request, CancellationToken cancellationToken) =>
        await db.Invitations.OrderByDescending(i => i.CreatedAt).Take(500)
            .Select(i => new InvitationItem(
                i.Id, i.Roles, i.Note, i.CreatedAt, i.ExpiresAt, i.UsedAt, db.Users.Where(u => u.Id == i.UsedById).Select(u => u.DisplayName).FirstOrDefault(), i.RevokedAt))
            .ToListAsync(cancellationToken);
}
