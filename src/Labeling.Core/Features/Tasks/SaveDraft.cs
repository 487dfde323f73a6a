using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Tasks;

/// <summary>
/// Keeps what the person has so far and renews the lease. <paramref name="BasedOn"/> is the draft version the editor started from: an older one is a conflict
/// whose answer carries the stored text, so that nothing is overwritten in silence. Saving into a lapsed assignment is allowed.
/// </summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record SaveDraft(Actor Actor, Guid AssignmentId, int BasedOn, string Text) : IRequest<SavedDraft>;

/// <param name="Conflict">True when another tab saved first; <paramref name="StoredText"/> is then what it saved.</param>
public sealed record SavedDraft(int Version, DateTimeOffset? SavedAt, DateTimeOffset ExpiresAt, bool Conflict = false, string? StoredText = null);
