using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.People;

/// <summary>While nobody can sign in: replaces any earlier set-up link by a new one. Answers null once a person exists.</summary>
[Allow(Roles.None, system: true)]
public sealed record EnsureSetupInvitation(Actor Actor) : IRequest<CreatedInvitation?>;

internal sealed class EnsureSetupInvitationHandler(LabelingDbContext db, TimeProvider clock) : IHandler<EnsureSetupInvitation, CreatedInvitation?>
{
    private static readonly TimeSpan Validity = TimeSpan.FromDays(7);

    public async ValueTask<Result<CreatedInvitation?>> Handle(EnsureSetupInvitation request, CancellationToken cancellationToken)
    {
        // Two programs that start at once must not leave two links that both make an admin.
        await db.Database.ExecuteSqlAsync($"lock table invitations in share row exclusive mode", cancellationToken);
        if (await db.Users.AnyAsync(cancellationToken)) return (CreatedInvitation?)null;
        var now = clock.GetUtcNow();
        await db.Invitations.Where(i => i.CreatedById == null && i.UsedAt == null && i.RevokedAt == null)
            .ExecuteUpdateAsync(set => set.SetProperty(i => i.RevokedAt, now), cancellationToken);
        var token = Secret.New();
        var invitation = new Invitation { Id = Guid.CreateVersion7(), TokenHash = Secret.Hash(token), Roles = Roles.Admin, ExpiresAt = now + Validity };
        db.Invitations.Add(invitation);
        await db.SaveChangesAsync(cancellationToken);
        return new CreatedInvitation(invitation.Id, token, invitation.ExpiresAt);
    }
}
