using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.People;

/// <summary>Makes the person's account and uses the link up, in one transaction: two at once make one account.</summary>
[AllowAnonymous]
public sealed record AcceptInvitation(Actor Actor, string Token, string Email, string DisplayName, string Password) : IRequest<Guid>;

internal sealed class AcceptInvitationValidator : AbstractValidator<AcceptInvitation>
{
    public AcceptInvitationValidator()
    {
        RuleFor(r => r.Email).NotEmpty().MaximumLength(254).EmailAddress();
        RuleFor(r => r.DisplayName).NotEmpty().MaximumLength(100);
        RuleFor(r => r.Password).MinimumLength(PasswordRules.MinLength).WithMessage(PasswordRules.Text).MaximumLength(PasswordRules.MaxLength);
    }
}

internal sealed class AcceptInvitationHandler(LabelingDbContext db, UserManager<AppUser> users, TimeProvider clock) : IHandler<AcceptInvitation, Guid>
{
    public async ValueTask<Result<Guid>> Handle(AcceptInvitation request, CancellationToken cancellationToken)
    {
        // The row lock lets one of two simultaneous uses through; the other then sees a used link.
        var hash = Secret.Hash(request.Token);
        var invitation = await db.Invitations.FromSql($"select * from invitations where token_hash = {hash} for update").SingleOrDefaultAsync(cancellationToken);
        if (invitation?.UsedById is { } earlier && await IsSamePersonAsync(earlier, request)) return earlier;
        if (invitation.RefusalAt(clock.GetUtcNow()) is { } refusal) return refusal;
        if (invitation!.IsSetup && await db.Users.AnyAsync(cancellationToken)) return Problem.Conflict("This installation has been set up already. Sign in.");

        var email = request.Email.Trim();
        var person = new AppUser
        {
            Id = Guid.CreateVersion7(),
            UserName = email,
            Email = email,
            DisplayName = request.DisplayName.Trim(),
            Roles = invitation.Roles,
            CreatedAt = clock.GetUtcNow(),
        };
        var made = await users.CreateAsync(person, request.Password);
        if (!made.Succeeded) return ProblemOf(made);
        invitation.UsedAt = clock.GetUtcNow();
        invitation.UsedById = person.Id;
        db.Record(Actor.Person(person.Id), "invitation.accepted", invitation.Id, person.Roles.ToString());
        await db.SaveChangesAsync(cancellationToken);
        return person.Id;
    }

    /// <summary>A second send of the same form, after a lost answer or a double click: the same account, shown by its password.</summary>
    private async Task<bool> IsSamePersonAsync(Guid personId, AcceptInvitation request) =>
        await users.FindByIdAsync(personId.ToString()) is { } person
        && string.Equals(person.Email, request.Email.Trim(), StringComparison.OrdinalIgnoreCase)
        && await users.CheckPasswordAsync(person, request.Password);

    private static Problem ProblemOf(IdentityResult result)
    {
        var fields = result.Errors
            .GroupBy(e => e.Code.StartsWith("Password", StringComparison.Ordinal) ? "password" : "email", e => e.Description)
            .ToDictionary(group => group.Key, group => group.Distinct().ToArray());
        return new Problem(ProblemKind.Invalid, fields.First().Value[0], fields);
    }
}
