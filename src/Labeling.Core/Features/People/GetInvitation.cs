using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.People;

/// <summary>What a link offers, before it is used. A used, revoked or expired link is a problem that says so.</summary>
[AllowAnonymous]
public sealed record GetInvitation(Actor Actor, string Token) : IQuery<InvitationOffer>;

public sealed record InvitationOffer(Roles Roles, bool IsSetup, DateTimeOffset ExpiresAt);

internal sealed class GetInvitationHandler(LabelingDbContext db, TimeProvider clock) : IHandler<GetInvitation, InvitationOffer>
{
    public async ValueTask<Result<InvitationOffer>> Handle(GetInvitation request, CancellationToken cancellationToken)
    {
        var hash = Secret.Hash(request.Token);
        var invitation = await db.Invitations.AsNoTracking().SingleOrDefaultAsync(i => i.TokenHash == hash, cancellationToken);
        return invitation.RefusalAt(clock.GetUtcNow()) is { } problem
            ? problem
            : new InvitationOffer(invitation!.Roles, invitation.IsSetup, invitation.ExpiresAt);
    }
}

internal static class InvitationRules
{
    /// <summary>Why a link cannot be used now; null when it can.</summary>
    public static Problem? RefusalAt(this Invitation? invitation, DateTimeOffset now) => invitation switch
    {
        null => Problem.NotFound("This link"),
        { UsedAt: not null } => Problem.Conflict("This link has been used already. Sign in, or ask an admin for a new one."),
        { RevokedAt: not null } => Problem.Conflict("This link has been withdrawn. Ask for a new one."),
        _ when invitation.ExpiresAt <= now => Problem.Conflict("This link has expired. Ask for a new one."),
        _ => null,
    };
}
