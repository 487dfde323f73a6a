using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Tasks;

/// <summary>
/// The next task of this kind for this person, with a lease by the database clock; an assignment of theirs that is still active comes back first.
/// Never a task they had before, never a ranking that shows an answer of their own. Null when nothing waits.
/// </summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record ClaimTask(Actor Actor, Guid ProjectId, TaskKind Kind) : IRequest<ClaimedTask?>;

public sealed record ClaimedTask(Guid AssignmentId, Guid TaskId, Guid LeaseToken, DateTimeOffset ExpiresAt);

internal sealed class ClaimTaskHandler(LabelingDbContext db, TaskLedger ledger) : IHandler<ClaimTask, ClaimedTask?>
{
    public async ValueTask<Result<ClaimedTask?>> Handle(ClaimTask request, CancellationToken cancellationToken)
    {
        var userId = request.Actor.UserId!.Value;
        var person = await db.Users.AsNoTracking().SingleAsync(u => u.Id == userId, cancellationToken);
        if (!person.May(request.Kind.RoleFor())) return Problem.Forbidden($"Your roles do not include {(request.Kind == TaskKind.Ranking ? "ranking" : "writing demonstrations")}.", "kind");
        var project = await db.Projects.AsNoTracking().SingleOrDefaultAsync(p => p.Id == request.ProjectId, cancellationToken);
        if (project is null) return Problem.NotFound("The project");
        if (project.ArchivedAt is not null) return (ClaimedTask?)null;
        return await ledger.ClaimAsync(userId, request.ProjectId, request.Kind, cancellationToken);
    }
}

internal static class TaskKindExtensions
{
    public static Roles RoleFor(this TaskKind kind) => kind == TaskKind.Ranking ? Roles.Ranker : Roles.Annotator;
}
