using Labeling.Core.Model;
using Labeling.Core.Pipeline;

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
