using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.People;

/// <summary>A single-use link. The token is in the answer only; the database keeps its hash.</summary>
[Allow(Roles.Admin)]
public sealed record CreateInvitation(Actor Actor, Roles Roles, string? Note, int ValidDays = 7) : IRequest<CreatedInvitation>;

public sealed record CreatedInvitation(Guid Id, string Token, DateTimeOffset ExpiresAt);

internal sealed class CreateInvitationValidator : AbstractValidator<CreateInvitation>
{
    public CreateInvitationValidator()
    {
        RuleFor(r => r.Roles).NotEqual(Roles.None).WithMessage("Choose at least one role.");
        RuleFor(r => r.Note).MaximumLength(200);
        RuleFor(r => r.ValidDays).InclusiveBetween(1, 90);
    }
}

internal sealed class CreateInvitationHandler(LabelingDbContext db, TimeProvider clock) : IHandler<CreateInvitation, CreatedInvitation>
{
    public async ValueTask<Result<CreatedInvitation>> Handle(CreateInvitation request, CancellationToken cancellationToken)
    {
        var token = Secret.New();
        var invitation = new Invitation
        {
            Id = Guid.CreateVersion7(),
            TokenHash = Secret.Hash(token),
            Roles = request.Roles,
            Note = request.Note,
            CreatedById = request.Actor.UserId,
            ExpiresAt = clock.GetUtcNow().AddDays(request.ValidDays),
        };
        db.Invitations.Add(invitation);
        db.Record(request.Actor, "invitation.created", invitation.Id, invitation.Roles.ToString());
        await db.SaveChangesAsync(cancellationToken);
        return new CreatedInvitation(invitation.Id, token, invitation.ExpiresAt);
    }
}
