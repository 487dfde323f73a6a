using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.People;

/// <summary>Who the actor is at this moment; what a circuit or cookie is checked against.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record GetMe(Actor Actor) : IQuery<Me>;

public sealed record Me(Guid Id, string DisplayName, string Email, Roles Roles);
