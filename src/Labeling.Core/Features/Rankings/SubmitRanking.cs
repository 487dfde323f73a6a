using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Features.Demonstrations;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

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

internal sealed class SubmitRankingValidator : AbstractValidator<SubmitRanking>
{
    public SubmitRankingValidator()
    {
        RuleFor(r => r.Answers).Must(HaveNoRepetition).WithMessage("An answer is ranked twice.");
        RuleForEach(r => r.Answers).ChildRules(answer => answer.RuleFor(a => a.Rank).GreaterThanOrEqualTo(1));
        RuleFor(r => r.Strength).InclusiveBetween(1, 4);
        RuleFor(r => r.SecondsSpent).GreaterThanOrEqualTo(0);
        RuleForEach(r => r.Ratings).ChildRules(rating => rating.RuleFor(a => a.Quality).InclusiveBetween(1, 7));
        RuleFor(r => r.Ratings).Must(ratings => ratings is null || ratings.DistinctBy(r => r.CompletionId).Count() == ratings.Count).WithMessage("An answer is rated twice.");
    }

    private static bool HaveNoRepetition(IReadOnlyList<RankedAnswer> answers) => answers.DistinctBy(a => a.CompletionId).Count() == answers.Count;
}

internal sealed class SubmitRankingHandler(LabelingDbContext db, TaskLedger ledger) : IHandler<SubmitRanking, Submitted>
{
    public async ValueTask<Result<Submitted>> Handle(SubmitRanking request, CancellationToken cancellationToken)
    {
        var held = await ledger.LockAsync(request.AssignmentId, cancellationToken);
        if (held.RefusalForOthers(request.Actor) is { } notYours) return notYours;
        if (held!.Kind != TaskKind.Ranking) return Problem.Invalid("assignmentId", "This assignment asks for a demonstration, not for a ranking.");
        var shown = held.ShownOrder!;
        if (shown.Length != request.Answers.Count || request.Answers.Any(a => !shown.Contains(a.CompletionId)))
        {
            return Problem.Invalid("answers", $"Rank exactly the {shown.Length} answers you were shown.");
        }

        if (request.Ratings?.Any(r => !shown.Contains(r.CompletionId)) == true) return Problem.Invalid("ratings", "Only answers you were shown can be rated.");

        var ranking = Make(request, held);
        var earlier = await db.Rankings.AsNoTracking().Include(r => r.Entries).Include(r => r.Ratings).SingleOrDefaultAsync(r => r.Id == request.Id, cancellationToken);
        if (earlier is not null)
        {
            if (earlier.AssignmentId != request.AssignmentId) return Problem.Conflict("This id belongs to another ranking.", "id");
            return FirstDifference(earlier, ranking) is { } field
                ? Problem.Conflict("You have submitted something else with this id already.", field)
                : new Submitted(request.Id, earlier.Surplus);
        }

        if (held.RefusalFor(request.Actor) is { } refusal) return refusal;
        ranking.Surplus = await ledger.FinishAsync(held, cancellationToken);
        db.Rankings.Add(ranking);
        await db.SaveChangesAsync(cancellationToken);
        return new Submitted(request.Id, ranking.Surplus);
    }

    private static Ranking Make(SubmitRanking request, HeldAssignment held)
    {
        var places = request.Answers.Select(a => a.Rank).Distinct().Order().ToList();
        return new Ranking
        {
            Id = request.Id,
            TaskId = held.TaskId,
            AssignmentId = held.Id,
            PromptId = held.PromptId,
            UserId = held.UserId,
            GuidelineVersionId = held.GuidelineVersionId,
            ShownOrder = held.ShownOrder!,
            Strength = request.Strength,
            NoneAcceptable = request.NoneAcceptable,
            Notes = request.Notes,
            SecondsSpent = request.SecondsSpent,
            Entries = [.. request.Answers.Select(a => new RankingEntry { RankingId = request.Id, CompletionId = a.CompletionId, Rank = places.IndexOf(a.Rank) + 1 })],
            Ratings =
            [
                .. (request.Ratings ?? []).Where(r => r.Quality is not null || r.Flags != CompletionFlags.None)
                    .Select(r => new CompletionRating { RankingId = request.Id, CompletionId = r.CompletionId, Quality = r.Quality, Flags = r.Flags }),
            ],
        };
    }

    private static string? FirstDifference(Ranking a, Ranking b) =>
        !a.Entries.Select(e => (e.CompletionId, e.Rank)).ToHashSet().SetEquals(b.Entries.Select(e => (e.CompletionId, e.Rank))) ? "answers"
        : a.Strength != b.Strength ? "strength"
        : a.NoneAcceptable != b.NoneAcceptable ? "noneAcceptable"
        : a.Notes != b.Notes ? "notes"
        : !a.Ratings.Select(r => (r.CompletionId, r.Quality, r.Flags)).ToHashSet().SetEquals(b.Ratings.Select(r => (r.CompletionId, r.Quality, r.Flags))) ? "ratings"
        : null;
}
