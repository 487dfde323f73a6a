using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.People;

[Allow(Roles.Admin)]
public sealed record RevokeInvitation(Actor Actor, Guid Id) : IRequest<Done>;

internal sealed class RevokeInvitationHandler(LabelingDbContext db, TimeProvider clock) : IHandler<RevokeInvitation, Done>
{
    public async ValueTask<Result<Done>> Handle(RevokeInvitation request, CancellationToken cancellationToken)
    {
        var invitation = await db.Invitations.FromSql($"select * from invitations where id = {request.Id} for update").SingleOrDefaultAsync(cancellationToken);
        if (invitation is null) return Problem.NotFound("The invitation");
        if (invitation.UsedAt is not null) return Problem.Conflict("The link has been used already. Shut the person out instead.");
        if (invitation.RevokedAt is not null) return new Done();
        invitation.RevokedAt = clock.GetUtcNow();
        db.Record(request.Actor, "invitation.revoked", invitation.Id);
        await db.SaveChangesAsync(cancellationToken);
        return new Done();
    }
}
