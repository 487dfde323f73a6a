using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Demonstrations;

/// <summary>
/// Stores the answer byte for byte. <paramref name="Id"/> is made by the client: the same id again answers the first result.
/// A submission after the lease ran out is kept: counted when the task still has room, surplus otherwise.
/// </summary>
[Allow(Roles.Annotator)]
public sealed record SubmitDemonstration(Actor Actor, Guid Id, Guid AssignmentId, string Text, int? SecondsSpent = null) : IRequest<Submitted>;

/// <param name="Surplus">The task was already full: the work is kept but not counted.</param>
public sealed record Submitted(Guid Id, bool Surplus);
