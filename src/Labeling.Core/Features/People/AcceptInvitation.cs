using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.People;

/// <summary>Makes the person's account and uses the link up, in one transaction: two at once make one account.</summary>
[AllowAnonymous]
public sealed record AcceptInvitation(Actor Actor, string Token, string Email, string DisplayName, string Password) : IRequest<Guid>;
