using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Models;

/// <summary>A reward model's scores of the answers it was trained and validated on, with the ranks people gave, paged by key.</summary>
[Allow(Roles.Admin)]
public sealed record GetModelScores(Actor Actor, Guid ModelId, Split? Split = null, string? After = null, int Size = 500) : IQuery<Page<ScoredAnswer>>;

public sealed record ScoredAnswer(Guid CompletionId, Guid PromptId, Split Split, double Score, string Text);

internal sealed class GetModelScoresValidator : AbstractValidator<GetModelScores>
{
    public GetModelScoresValidator()
    {
        RuleFor(request => request.Size).MustBePageSize();
        RuleFor(request => request.After).Must(key => key is null || Guid.TryParseExact(key, "N", out _))
            .WithMessage("'{PropertyName}' is not a key this list gave out; leave it empty for the first page.");
    }
}

internal sealed class GetModelScoresHandler(LabelingDbContext db) : IHandler<GetModelScores, Page<ScoredAnswer>>
{
    public async ValueTask<Result<Page<ScoredAnswer>>> Handle(GetModelScores request, CancellationToken cancellationToken)
    {
        if (!await db.Models.AnyAsync(model => model.Id == request.ModelId, cancellationToken)) return Problem.NotFound("The model");
        var scores = db.CompletionScores.AsNoTracking().Where(score => score.ModelId == request.ModelId && (request.Split == null || score.Split == request.Split));
        if (Guid.TryParseExact(request.After, "N", out var after)) scores = scores.Where(score => score.CompletionId.CompareTo(after) > 0);
        var answers = await scores.OrderBy(score => score.CompletionId).Take(request.Size + 1)
            .Select(score => new ScoredAnswer(score.CompletionId, score.Completion!.PromptId, score.Split, score.Score, score.Completion.Text)).ToListAsync(cancellationToken);
        var page = answers.Take(request.Size).ToList();
        return new Page<ScoredAnswer>(page, answers.Count > request.Size ? page[^1].CompletionId.ToString("n") : null);
    }
}
