using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.People;

/// <summary>While nobody can sign in: replaces any earlier set-up link by a new one. Answers null once a person exists.</summary>
[Allow(Roles.None, system: true)]
public sealed record EnsureSetupInvitation(Actor Actor) : IRequest<CreatedInvitation?>;
