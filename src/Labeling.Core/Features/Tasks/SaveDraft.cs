using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Tasks;

/// <summary>
/// Keeps what the person has so far and renews the lease. <paramref name="BasedOn"/> is the draft version the editor started from: an older one is a conflict
/// whose answer carries the stored text, so that nothing is overwritten in silence. Saving into a lapsed assignment is allowed.
/// </summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record SaveDraft(Actor Actor, Guid AssignmentId, int BasedOn, [property: MaxCharacters(SaveDraft.MaxCharacters)] string Text) : IRequest<SavedDraft>
{
    /// <summary>More than a submission may have, so that too long a text can be kept until it is shortened, and room for the JSON around a ranking's notes.</summary>
    public const int MaxCharacters = 6 * Texts.MaxCharacters;
}

/// <param name="Conflict">True when another tab saved first; <paramref name="StoredText"/> is then what it saved.</param>
public sealed record SavedDraft(int Version, DateTimeOffset? SavedAt, DateTimeOffset ExpiresAt, bool Conflict = false, string? StoredText = null);

internal sealed class SaveDraftValidator : AbstractValidator<SaveDraft>
{
    public SaveDraftValidator() => RuleFor(r => r.BasedOn).GreaterThanOrEqualTo(0);
}

internal sealed class SaveDraftHandler(LabelingDbContext db, TaskLedger ledger) : IHandler<SaveDraft, SavedDraft>
{
    public async ValueTask<Result<SavedDraft>> Handle(SaveDraft request, CancellationToken cancellationToken)
    {
        var held = await ledger.LockAsync(request.AssignmentId, cancellationToken);
        if (held.RefusalFor(request.Actor) is { } refusal) return refusal;
        var (_, expiresAt) = await ledger.RenewAsync(held!, cancellationToken);
        if (held!.DraftVersion != request.BasedOn)
        {
            var stored = await db.Assignments.Where(a => a.Id == held.Id).Select(a => a.Draft).SingleAsync(cancellationToken);

            // The same save sent again after a lost answer is no conflict.
            var isRepetition = held.DraftVersion == request.BasedOn + 1 && stored == request.Text;
            return isRepetition
                ? new SavedDraft(held.DraftVersion, held.DraftSavedAt, expiresAt)
                : new SavedDraft(held.DraftVersion, held.DraftSavedAt, expiresAt, Conflict: true, stored);
        }

        var version = held.DraftVersion + 1;
        var savedAt = await db.Database.SqlQuery<DateTimeOffset>(
            $"update assignments set draft = {request.Text}, draft_version = {version}, draft_saved_at = clock_timestamp() where id = {held.Id} returning draft_saved_at")
            .ToListAsync(cancellationToken);
        return new SavedDraft(version, savedAt[0], expiresAt);
    }
}
