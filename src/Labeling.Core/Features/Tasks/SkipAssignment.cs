using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Tasks;

/// <summary>Gives the task back with a reason; the person does not get it again.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record SkipAssignment(Actor Actor, Guid AssignmentId, string Reason) : IRequest<Done>;
