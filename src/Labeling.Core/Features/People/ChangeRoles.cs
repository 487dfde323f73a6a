using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.People;

/// <summary>Gives a person other roles. The last admin cannot give up their own.</summary>
[Allow(Roles.Admin)]
public sealed record ChangeRoles(Actor Actor, Guid PersonId, Roles Roles) : IRequest<Done>;
