using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.People;

/// <summary>Gives a person other roles. The last admin cannot give up their own.</summary>
[Allow(Roles.Admin)]
public sealed record ChangeRoles(Actor Actor, Guid PersonId, Roles Roles) : IRequest<Done>;

internal sealed class ChangeRolesHandler(LabelingDbContext db) : IHandler<ChangeRoles, Done>
{
    public async ValueTask<Result<Done>> Handle(ChangeRoles request, CancellationToken cancellationToken)
    {
        var person = await db.LockPersonAsync(request.PersonId, cancellationToken);
        if (person is null) return Problem.NotFound("The person");
        if (!request.Roles.HasFlag(Roles.Admin) && await db.IsLastAdminAsync(person, cancellationToken))
        {
            return Problem.Conflict($"{person.DisplayName} is the only admin. Make somebody else an admin first.");
        }

        db.Record(request.Actor, "person.roles_changed", person.Id, $"{person.Roles} -> {request.Roles}");
        person.Roles = request.Roles;
        await db.SaveChangesAsync(cancellationToken);
        return new Done();
    }
}

internal static class AdminRules
{
    /// <summary>Locks the person and every admin, in the order of their ids: two admins who dethrone each other at once cannot both succeed.</summary>
    public static async Task<AppUser?> LockPersonAsync(this LabelingDbContext db, Guid personId, CancellationToken cancellation)
    {
        var locked = await db.Users
            .FromSql($"select * from users where id = {personId} or (roles & {(int)Roles.Admin}) <> 0 order by id for no key update").ToListAsync(cancellation);
        return locked.SingleOrDefault(person => person.Id == personId);
    }

    public static async Task<bool> IsLastAdminAsync(this LabelingDbContext db, AppUser person, CancellationToken cancellation) =>
        person.May(Roles.Admin) && !await db.Users.AnyAsync(u => u.Id != person.Id && u.DisabledAt == null && (u.Roles & Roles.Admin) != 0, cancellation);
}
