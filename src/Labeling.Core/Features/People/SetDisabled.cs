using Labeling.Core.Data;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.People;

/// <summary>Shuts a person out or lets them in again. Their labels stay, their live leases end.</summary>
[Allow(Roles.Admin)]
public sealed record SetDisabled(Actor Actor, Guid PersonId, bool Disabled) : IRequest<Done>;

internal sealed class SetDisabledHandler(LabelingDbContext db, TaskLedger ledger, TimeProvider clock) : IHandler<SetDisabled, Done>
{
    public async ValueTask<Result<Done>> Handle(SetDisabled request, CancellationToken cancellationToken)
    {
        var person = await db.LockPersonAsync(request.PersonId, cancellationToken);
        if (person is null) return Problem.NotFound("The person");
        if (request.Disabled == person.DisabledAt is not null) return new Done();
        if (request.Disabled && await db.IsLastAdminAsync(person, cancellationToken))
        {
            return Problem.Conflict($"{person.DisplayName} is the only admin. Make somebody else an admin first.");
        }

        person.DisabledAt = request.Disabled ? clock.GetUtcNow() : null;
        person.SecurityStamp = Guid.NewGuid().ToString("N"); // cookies issued before end
        db.Record(request.Actor, request.Disabled ? "person.disabled" : "person.enabled", person.Id);
        await db.SaveChangesAsync(cancellationToken);
        if (request.Disabled) await ledger.EndLeasesOfAsync(person.Id, cancellationToken);
        return new Done();
    }
}
