using Labeling.Core.Features.Demonstrations;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Rankings;

/// <summary>Stores a weak order over exactly the shown answers. Idempotent and late-tolerant like a demonstration.</summary>
[Allow(Roles.Ranker)]
public sealed record SubmitRanking(
    Actor Actor, Guid Id, Guid AssignmentId, IReadOnlyList<RankedAnswer> Answers, int? Strength = null, bool NoneAcceptable = false, string? Notes = null,
    IReadOnlyList<AnswerRating>? Ratings = null, int? SecondsSpent = null) : IRequest<Submitted>;

/// <param name="Rank">1 is best; equal ranks are a tie; ranks are made dense (1, 1, 2).</param>
public sealed record RankedAnswer(Guid CompletionId, int Rank);

/// <param name="Quality">1 to 7, or null.</param>
public sealed record AnswerRating(Guid CompletionId, int? Quality, CompletionFlags Flags);
