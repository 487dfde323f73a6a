using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.People;

[Allow(Roles.Admin)]
public sealed record RevokeInvitation(Actor Actor, Guid Id) : IRequest<Done>;
