using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.People;

/// <summary>Shuts a person out or lets them in again. Their labels stay, their live leases end.</summary>
[Allow(Roles.Admin)]
public sealed record SetDisabled(Actor Actor, Guid PersonId, bool Disabled) : IRequest<Done>;
