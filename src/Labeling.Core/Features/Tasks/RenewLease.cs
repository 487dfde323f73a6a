using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Tasks;

/// <summary>Called while the page is open and the person is at work. Answers the new expiry; a lapsed assignment is taken up again when its task still has room.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record RenewLease(Actor Actor, Guid AssignmentId) : IRequest<DateTimeOffset>;

internal sealed class RenewLeaseHandler(TaskLedger ledger) : IHandler<RenewLease, DateTimeOffset>
{
    public async ValueTask<Result<DateTimeOffset>> Handle(RenewLease request, CancellationToken cancellationToken)
    {
        var held = await ledger.LockAsync(request.AssignmentId, cancellationToken);
        if (held.RefusalFor(request.Actor) is { } refusal) return refusal;
        var (state, expiresAt) = await ledger.RenewAsync(held!, cancellationToken);
        return state == AssignmentState.Active
            ? expiresAt
            : Problem.Conflict("Your time for this task ran out and others have taken it. What you have written is kept, and you can still submit it.");
    }
}

internal static class AssignmentRules
{
    /// <summary>Why this person cannot go on with the assignment; null when they can.</summary>
    public static Problem? RefusalFor(this HeldAssignment? held, Actor actor) =>
        held.RefusalForOthers(actor) ?? held!.State switch
        {
            AssignmentState.Submitted or AssignmentState.Surplus => Problem.Conflict("You have submitted this task already.", "assignmentId"),
            AssignmentState.Skipped => Problem.Conflict("You have given this task back. Take the next one.", "assignmentId"),
            _ => null,
        };

    public static Problem? RefusalForOthers(this HeldAssignment? held, Actor actor) =>
        held is null ? Problem.NotFound("The assignment")
        : held.UserId != actor.UserId ? Problem.Forbidden("This assignment belongs to another person.", "assignmentId")
        : null;
}
