using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.People;

/// <summary>What a link offers, before it is used. A used, revoked or expired link is a problem that says so.</summary>
[AllowAnonymous]
public sealed record GetInvitation(Actor Actor, string Token) : IQuery<InvitationOffer>;

public sealed record InvitationOffer(Roles Roles, bool IsSetup, DateTimeOffset ExpiresAt);
