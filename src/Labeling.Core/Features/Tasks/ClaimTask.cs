using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Tasks;

/// <summary>
/// The next task of this kind for this person, with a lease by the database clock; an assignment of theirs that is still active comes back first.
/// Never a task they had before, never a ranking that shows an answer of their own. Null when nothing waits.
/// </summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record ClaimTask(Actor Actor, Guid ProjectId, TaskKind Kind) : IRequest<ClaimedTask?>;

public sealed record ClaimedTask(Guid AssignmentId, Guid TaskId, Guid LeaseToken, DateTimeOffset ExpiresAt);
