using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Demonstrations;

/// <summary>
/// Stores the answer byte for byte. <paramref name="Id"/> is made by the client: the same id again answers the first result.
/// A submission after the lease ran out is kept: counted when the task still has room, surplus otherwise.
/// </summary>
[Allow(Roles.Annotator)]
public sealed record SubmitDemonstration(Actor Actor, Guid Id, Guid AssignmentId, string Text, int? SecondsSpent = null) : IRequest<Submitted>;

/// <param name="Surplus">The task was already full: the work is kept but not counted.</param>
public sealed record Submitted(Guid Id, bool Surplus);

internal sealed class SubmitDemonstrationValidator : AbstractValidator<SubmitDemonstration>
{
    public SubmitDemonstrationValidator()
    {
        RuleFor(r => r.Text).NotEmpty().WithMessage("Write an answer first.");
        RuleFor(r => r.SecondsSpent).GreaterThanOrEqualTo(0);
    }
}

internal sealed class SubmitDemonstrationHandler(LabelingDbContext db, TaskLedger ledger) : IHandler<SubmitDemonstration, Submitted>
{
    public async ValueTask<Result<Submitted>> Handle(SubmitDemonstration request, CancellationToken cancellationToken)
    {
        var held = await ledger.LockAsync(request.AssignmentId, cancellationToken);
        if (held.RefusalForOthers(request.Actor) is { } notYours) return notYours;
        if (held!.Kind != TaskKind.Demonstration) return Problem.Invalid("assignmentId", "This assignment asks for a ranking, not for a demonstration.");

        var earlier = await db.Completions.AsNoTracking().Where(c => c.Id == request.Id)
            .Select(c => new { c.AssignmentId, c.Text, c.Surplus }).SingleOrDefaultAsync(cancellationToken);
        if (earlier is not null)
        {
            if (earlier.AssignmentId != request.AssignmentId) return Problem.Conflict("This id belongs to another answer.", "id");
            return earlier.Text == request.Text ? new Submitted(request.Id, earlier.Surplus) : Problem.Conflict("You have submitted another text with this id already.", "text");
        }

        if (held.RefusalFor(request.Actor) is { } refusal) return refusal;
        var surplus = await ledger.FinishAsync(held, cancellationToken);
        db.Completions.Add(new Completion
        {
            Id = request.Id,
            PromptId = held.PromptId,
            Source = CompletionSource.Human,
            Text = request.Text,
            AuthorId = held.UserId,
            AssignmentId = held.Id,
            GuidelineVersionId = held.GuidelineVersionId,
            SecondsSpent = request.SecondsSpent,
            Surplus = surplus,
        });
        await db.SaveChangesAsync(cancellationToken);
        return new Submitted(request.Id, surplus);
    }
}
