using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Tasks;

/// <summary>Called while the page is open and the person is at work. Answers the new expiry; a lapsed assignment is taken up again when its task still has room.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record RenewLease(Actor Actor, Guid AssignmentId) : IRequest<DateTimeOffset>;
