using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.People;

/// <summary>A single-use link. The token is in the answer only; the database keeps its hash.</summary>
[Allow(Roles.Admin)]
public sealed record CreateInvitation(Actor Actor, Roles Roles, string? Note, int ValidDays = 7) : IRequest<CreatedInvitation>;

public sealed record CreatedInvitation(Guid Id, string Token, DateTimeOffset ExpiresAt);
