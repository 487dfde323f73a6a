using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Tasks;

/// <summary>What waits for this person and what is theirs.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record GetQueue(Actor Actor) : IQuery<QueueView>;

public sealed record QueueView(IReadOnlyList<QueueProject> Projects, IReadOnlyList<MyAssignment> Mine, int FinishedToday, int FinishedEver);

/// <summary>Null where the person's roles do not include the kind.</summary>
public sealed record QueueProject(Guid Id, string Name, int? DemonstrationsWaiting, int? RankingsWaiting);

/// <summary>An assignment that is still open: active, or lapsed with a draft in it.</summary>
public sealed record MyAssignment(
    Guid Id, TaskKind Kind, string Project, string PromptPreview, bool HasDraft, DateTimeOffset ClaimedAt, DateTimeOffset ExpiresAt, bool Lapsed);

internal sealed class GetQueueHandler(LabelingDbContext db, TaskLedger ledger) : IHandler<GetQueue, QueueView>
{
    // Enough for a person to know that work will not run out; counting further would only cost time.
    private const int CountUpTo = 1000;

    public async ValueTask<Result<QueueView>> Handle(GetQueue request, CancellationToken cancellationToken)
    {
        var userId = request.Actor.UserId!.Value;
        var person = await db.Users.AsNoTracking().SingleAsync(u => u.Id == userId, cancellationToken);
        var projects = await db.Projects.Where(p => p.ArchivedAt == null).OrderBy(p => p.Name).ThenBy(p => p.Id).Select(p => new { p.Id, p.Name }).ToListAsync(cancellationToken);
        var queue = new List<QueueProject>(projects.Count);
        foreach (var project in projects)
        {
            queue.Add(new QueueProject(
                project.Id, project.Name,
                await WaitingAsync(person, project.Id, TaskKind.Demonstration, cancellationToken), await WaitingAsync(person, project.Id, TaskKind.Ranking, cancellationToken)));
        }

        var open = await db.Assignments.AsNoTracking()
            .Where(a => a.UserId == userId && (a.State == AssignmentState.Active || (a.State == AssignmentState.Lapsed && a.DraftVersion > 0)))
            .OrderByDescending(a => a.ClaimedAt).Take(100)
            .Select(a => new
            {
                a.Id,
                a.Task!.Kind,
                Project = a.Task.Prompt!.Project!.Name,
                a.Task.Prompt.Messages,
                HasDraft = a.DraftVersion > 0,
                a.ClaimedAt,
                a.ExpiresAt,
                Lapsed = a.State == AssignmentState.Lapsed,
            }).ToListAsync(cancellationToken);
        var mine = open.Select(a => new MyAssignment(
            a.Id, a.Kind, a.Project, Texts.Preview(a.Messages[^1].Content), a.HasDraft, a.ClaimedAt, a.ExpiresAt, a.Lapsed)).ToList();

        var finished = db.Assignments.Where(a => a.UserId == userId && (a.State == AssignmentState.Submitted || a.State == AssignmentState.Surplus));
        return new QueueView(
            queue, mine, await finished.CountAsync(a => a.FinishedAt >= DateTime.UtcNow.Date, cancellationToken), await finished.CountAsync(cancellationToken));
    }

    private async Task<int?> WaitingAsync(AppUser person, Guid projectId, TaskKind kind, CancellationToken cancellation) =>
        person.May(kind.RoleFor())
            ? await ledger.WaitingFor(person.Id).Where(t => t.ProjectId == projectId && t.Kind == kind).Take(CountUpTo).CountAsync(cancellation)
            : null;
}
