using FluentValidation;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Tasks;

/// <summary>Gives the task back with a reason; the person does not get it again.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record SkipAssignment(Actor Actor, Guid AssignmentId, string Reason) : IRequest<Done>;

internal sealed class SkipAssignmentValidator : AbstractValidator<SkipAssignment>
{
    public SkipAssignmentValidator() => RuleFor(r => r.Reason).NotEmpty().WithMessage("Say in a few words why, so that somebody can mend it.").MaximumLength(2000);
}

internal sealed class SkipAssignmentHandler(TaskLedger ledger) : IHandler<SkipAssignment, Done>
{
    public async ValueTask<Result<Done>> Handle(SkipAssignment request, CancellationToken cancellationToken)
    {
        var held = await ledger.LockAsync(request.AssignmentId, cancellationToken);
        if (held.RefusalForOthers(request.Actor) is { } notYours) return notYours;
        if (held!.State == AssignmentState.Skipped) return new Done();
        if (held.RefusalFor(request.Actor) is { } refusal) return refusal;
        await ledger.SkipAsync(held, request.Reason, cancellationToken);
        return new Done();
    }
}
