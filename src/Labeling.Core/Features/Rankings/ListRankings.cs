using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Rankings;

/// <summary>Finished rankings of a project with their answers and, for admins, each answer's model; paged by key.</summary>
[Allow(Roles.Admin)]
public sealed record ListRankings(Actor Actor, Guid ProjectId, string? Batch = null, string? After = null, int Size = 100) : IQuery<Page<RankingView>>;

public sealed record RankingView(
    Guid Id, Guid TaskId, Guid PromptId, IReadOnlyList<Message> Messages, string Labeler, Split Split, DateTimeOffset CreatedAt, bool Surplus, IReadOnlyList<RankedText> Answers);

public sealed record RankedText(Guid CompletionId, int Rank, Guid? ModelId, string Text, int Shown);
