using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Rankings;

/// <summary>Finished rankings of a project with their answers and, for admins, each answer's model, oldest first; paged by key.</summary>
[Allow(Roles.Admin)]
public sealed record ListRankings(Actor Actor, Guid ProjectId, string? Batch = null, string? After = null, int Size = 100) : IQuery<Page<RankingView>>;

public sealed record RankingView(
    Guid Id, Guid TaskId, Guid PromptId, IReadOnlyList<Message> Messages, string Labeler, Split Split, DateTimeOffset CreatedAt, bool Surplus, IReadOnlyList<RankedText> Answers);

/// <param name="Shown">The place on the ranker's screen, from 1.</param>
/// <param name="SameTextFrom">Other models whose answer in the same sample run has this very text: it is shown once, and its rank is theirs too.</param>
public sealed record RankedText(Guid CompletionId, int Rank, Guid? ModelId, string Text, int Shown, IReadOnlyList<Guid> SameTextFrom);

internal sealed class ListRankingsValidator : AbstractValidator<ListRankings>
{
    public ListRankingsValidator()
    {
        RuleFor(r => r.After).MustBePageKey();
        RuleFor(r => r.Size).MustBePageSize();
    }
}

internal sealed class ListRankingsHandler(LabelingDbContext db) : IHandler<ListRankings, Page<RankingView>>
{
    public async ValueTask<Result<Page<RankingView>>> Handle(ListRankings request, CancellationToken cancellationToken)
    {
        var rankings = db.Rankings.AsNoTracking().Where(r => r.Task!.ProjectId == request.ProjectId && (request.Batch == null || r.Task.Batch == request.Batch));
        if (PageKey.TryRead(request.After, out var at, out var id))
        {
            rankings = rankings.Where(r => EF.Functions.GreaterThan(ValueTuple.Create(r.CreatedAt, r.Id), ValueTuple.Create(at, id)));
        }

        var rows = await rankings.OrderBy(r => r.CreatedAt).ThenBy(r => r.Id).Take(request.Size + 1)
            .Select(r => new
            {
                r.Id,
                r.TaskId,
                r.PromptId,
                r.Prompt!.Messages,
                Labeler = db.Users.Where(u => u.Id == r.UserId).Select(u => u.DisplayName).First(),
                r.Prompt.Split,
                r.CreatedAt,
                r.Surplus,
                r.ShownOrder,
                Answers = r.Entries.Select(e => new
                {
                    e.CompletionId,
                    e.Rank,
                    e.Completion!.ModelId,
                    e.Completion.Text,
                    SameTextFrom = db.Completions
                        .Where(c => c.PromptId == r.PromptId && c.RunId == e.Completion.RunId && c.ModelId != e.Completion.ModelId && c.Text == e.Completion.Text)
                        .Select(c => c.ModelId!.Value).Distinct().ToList(),
                }).ToList(),
            }).ToListAsync(cancellationToken);
        var views = rows.Take(request.Size).Select(r => new RankingView(
            r.Id, r.TaskId, r.PromptId, r.Messages, r.Labeler, r.Split, r.CreatedAt, r.Surplus,
            [
                .. r.Answers.Select(a => new RankedText(a.CompletionId, a.Rank, a.ModelId, a.Text, Array.IndexOf(r.ShownOrder, a.CompletionId) + 1, a.SameTextFrom))
                    .OrderBy(a => a.Rank).ThenBy(a => a.Shown),
            ])).ToList();
        return new Page<RankingView>(views, rows.Count > request.Size ? PageKey.Write(views[^1].CreatedAt, views[^1].Id) : null);
    }
}
