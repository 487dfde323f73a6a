using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Tasks;

/// <summary>Everything the labeling page needs, for the person who holds the assignment. Answers carry no hint of their source.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record GetAssignment(Actor Actor, Guid Id) : IQuery<AssignmentView>;

/// <param name="Answers">For a ranking: in the order stored for this person. Empty for a demonstration.</param>
public sealed record AssignmentView(
    Guid Id, Guid TaskId, TaskKind Kind, AssignmentState State, Guid ProjectId, string Project, IReadOnlyList<Message> Messages, IReadOnlyList<AnswerView> Answers,
    int GuidelineNumber, string GuidelineMarkdown, Guid LeaseToken, DateTimeOffset ExpiresAt, string? Draft, int DraftVersion, DateTimeOffset? DraftSavedAt);

public sealed record AnswerView(Guid CompletionId, string Text);

internal sealed class GetAssignmentHandler(LabelingDbContext db) : IHandler<GetAssignment, AssignmentView>
{
    public async ValueTask<Result<AssignmentView>> Handle(GetAssignment request, CancellationToken cancellationToken)
    {
        var found = await db.Assignments.AsNoTracking().Where(a => a.Id == request.Id && a.UserId == request.Actor.UserId)
            .Select(a => new
            {
                Assignment = a,
                a.Task!.Kind,
                a.Task.ProjectId,
                Project = a.Task.Prompt!.Project!.Name,
                a.Task.Prompt.Messages,
                Guideline = db.GuidelineVersions.Where(g => g.Id == a.GuidelineVersionId).Select(g => new { g.Number, g.Markdown }).FirstOrDefault(),
            }).SingleOrDefaultAsync(cancellationToken);
        if (found is null) return Problem.NotFound("The assignment");

        var mine = found.Assignment;
        var order = mine.ShownOrder ?? [];
        var texts = await db.Completions.Where(c => order.Contains(c.Id)).ToDictionaryAsync(c => c.Id, c => c.Text, cancellationToken);
        return new AssignmentView(
            mine.Id, mine.TaskId, found.Kind, mine.State, found.ProjectId, found.Project, found.Messages, [.. order.Select(id => new AnswerView(id, texts[id]))],
            found.Guideline?.Number ?? 0, found.Guideline?.Markdown ?? "", mine.LeaseToken, mine.ExpiresAt, mine.Draft, mine.DraftVersion, mine.DraftSavedAt);
    }
}
