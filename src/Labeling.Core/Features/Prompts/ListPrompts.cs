using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Prompts;

/// <summary>Newest first, paged by key.</summary>
[Allow(Roles.Admin)]
public sealed record ListPrompts(Actor Actor, Guid ProjectId, string? Search = null, string? Category = null, string? After = null, int Size = 50)
    : IQuery<Page<PromptItem>>;

public sealed record PromptItem(
    Guid Id, string Preview, int Turns, string? Category, Split Split, PromptSource Source, int Demonstrations, int ModelAnswers, int Rankings, DateTimeOffset CreatedAt);

internal sealed class ListPromptsValidator : AbstractValidator<ListPrompts>
{
    public ListPromptsValidator()
    {
        RuleFor(r => r.Search).MaximumLength(200);
        RuleFor(r => r.After).MustBePageKey();
        RuleFor(r => r.Size).MustBePageSize();
    }
}

internal sealed class ListPromptsHandler(LabelingDbContext db) : IHandler<ListPrompts, Page<PromptItem>>
{
    public async ValueTask<Result<Page<PromptItem>>> Handle(ListPrompts request, CancellationToken cancellationToken)
    {
        var prompts = string.IsNullOrWhiteSpace(request.Search) ? db.Prompts : db.Prompts.FromSql(
            $"select * from prompts where exists (select from json_array_elements(messages) m where m->>'content' ilike {Pattern(request.Search)})");
        prompts = prompts.Where(p => p.ProjectId == request.ProjectId && (request.Category == null || p.Category == request.Category));
        if (PageKey.TryRead(request.After, out var at, out var id))
        {
            prompts = prompts.Where(p => EF.Functions.LessThan(ValueTuple.Create(p.CreatedAt, p.Id), ValueTuple.Create(at, id)));
        }

        var rows = await prompts.AsNoTracking().OrderByDescending(p => p.CreatedAt).ThenByDescending(p => p.Id).Take(request.Size + 1)
            .Select(p => new
            {
                p.Id,
                p.Messages,
                p.Category,
                p.Split,
                p.Source,
                p.CreatedAt,
                Demonstrations = db.Completions.Count(c => c.PromptId == p.Id && c.Source == CompletionSource.Human),
                ModelAnswers = db.Completions.Count(c => c.PromptId == p.Id && c.Source == CompletionSource.Model),
                Rankings = db.Rankings.Count(r => r.PromptId == p.Id),
            }).ToListAsync(cancellationToken);
        var items = rows.Take(request.Size).Select(p => new PromptItem(
            p.Id, Texts.Preview(p.Messages[^1].Content), p.Messages.Count, p.Category, p.Split, p.Source, p.Demonstrations, p.ModelAnswers, p.Rankings, p.CreatedAt)).ToList();
        return new Page<PromptItem>(items, rows.Count > request.Size ? PageKey.Write(items[^1].CreatedAt, items[^1].Id) : null);
    }

    /// <summary>LIKE's own signs are taken literally.</summary>
    private static string Pattern(string search) => $"%{search.Replace("\\", @"\\").Replace("%", @"\%").Replace("_", @"\_")}%";
}
