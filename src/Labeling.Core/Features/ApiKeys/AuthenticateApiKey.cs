using Labeling.Core.Features.People;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.ApiKeys;

/// <summary>Who a secret belongs to. Compared in constant time; a revoked key or a disabled person is refused.</summary>
[AllowAnonymous]
public sealed record AuthenticateApiKey(Actor Actor, string Secret) : IRequest<Me>;
