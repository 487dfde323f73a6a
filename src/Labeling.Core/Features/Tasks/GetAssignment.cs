using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Tasks;

/// <summary>Everything the labeling page needs, for the person who holds the assignment. Answers carry no hint of their source.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record GetAssignment(Actor Actor, Guid Id) : IQuery<AssignmentView>;

/// <param name="Answers">For a ranking: in the order stored for this person. Empty for a demonstration.</param>
public sealed record AssignmentView(
    Guid Id, Guid TaskId, TaskKind Kind, AssignmentState State, Guid ProjectId, string Project, IReadOnlyList<Message> Messages, IReadOnlyList<AnswerView> Answers,
    int GuidelineNumber, string GuidelineMarkdown, Guid LeaseToken, DateTimeOffset ExpiresAt, string? Draft, int DraftVersion, DateTimeOffset? DraftSavedAt);

public sealed record AnswerView(Guid CompletionId, string Text);
