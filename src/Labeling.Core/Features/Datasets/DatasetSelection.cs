using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Datasets;

/// <summary>
/// The labels a filter selects: counted labels only (surplus work is left out), in the order of their ids, so that the same labels always make the same file.
/// </summary>
internal sealed class DatasetSelection(LabelingDbContext db, Guid projectId, DatasetFilter filter)
{
    internal sealed record Demonstration(Guid Id, Guid PromptId, Split Split, IReadOnlyList<Message> Messages, string Text, Guid? AuthorId);

    internal sealed record RankedRow(Guid Id, Guid PromptId, Split Split, IReadOnlyList<Message> Messages, Guid LabelerId, int? Strength, IReadOnlyList<RankedAnswer> Answers);

    internal sealed record RankedAnswer(Guid CompletionId, int Rank, string Text, bool Demonstration);

    internal sealed record PromptRow(Guid Id, Split Split, IReadOnlyList<Message> Messages, Guid? AuthorId);

    /// <summary>One label: what counting needs to know.</summary>
    internal sealed class Label
    {
        public Split Split { get; init; }
        public Guid? LabelerId { get; init; }
    }

    public static Problem? Check(DatasetKind kind, DatasetFilter filter)
    {
        if (filter.Limit <= 0) return Problem.Invalid("filter.limit", "The limit is the largest number of rows: give a number above 0, or none for all.");
        if (filter.From >= filter.Until) return Problem.Invalid("filter.until", "The end of the time range has to be after its beginning.");
        if (filter.Batch is not null && kind != DatasetKind.Rankings) return Problem.Invalid("filter.batch", "Only rankings belong to a batch. Leave the batch out, or choose rankings.");
        return null;
    }

    public IQueryable<Demonstration> Demonstrations() => Limited(Completions()
        .OrderBy(completion => completion.Id)
        .Select(completion => new Demonstration(
            completion.Id, completion.PromptId, completion.Prompt!.Split, completion.Prompt.Messages, completion.Text, completion.AuthorId)));

    public IQueryable<RankedRow> Rankings() => Limited(RankingsOnly().OrderBy(ranking => ranking.Id))
        .OrderBy(ranking => ranking.Id)
        .Select(ranking => new RankedRow(
            ranking.Id, ranking.PromptId, ranking.Prompt!.Split, ranking.Prompt.Messages, ranking.UserId, ranking.Strength,
            ranking.Entries.OrderBy(entry => entry.Rank).ThenBy(entry => entry.CompletionId)
                .Select(entry => new RankedAnswer(entry.CompletionId, entry.Rank, entry.Completion!.Text, entry.Completion.Source == CompletionSource.Human)).ToList()));

    public IQueryable<PromptRow> Prompts() => Limited(PromptsOnly()
        .OrderBy(prompt => prompt.Id)
        .Select(prompt => new PromptRow(prompt.Id, prompt.Split, prompt.Messages, prompt.AuthorId)));

    public IQueryable<Label> Labels(DatasetKind kind) => kind switch
    {
        DatasetKind.Demonstrations => Limited(Completions().OrderBy(c => c.Id).Select(c => new Label { Split = c.Prompt!.Split, LabelerId = c.AuthorId })),
        DatasetKind.Rankings => Limited(RankingsOnly().OrderBy(r => r.Id).Select(r => new Label { Split = r.Prompt!.Split, LabelerId = r.UserId })),
        _ => Limited(PromptsOnly().OrderBy(p => p.Id).Select(p => new Label { Split = p.Split, LabelerId = p.AuthorId })),
    };

    private IQueryable<Completion> Completions()
    {
        var rows = db.Completions.AsNoTracking().Where(c => c.Source == CompletionSource.Human && !c.Surplus && c.Prompt!.ProjectId == projectId);
        if (filter.LabelerIds is { } labelers) rows = rows.Where(c => labelers.Contains(c.AuthorId!.Value));
        if (filter.ImportId is { } import) rows = rows.Where(c => c.Prompt!.ImportId == import);
        if (filter.Category is { } category) rows = rows.Where(c => c.Prompt!.Category == category);
        if (filter.Splits is { } splits) rows = rows.Where(c => splits.Contains(c.Prompt!.Split));
        if (filter.From is { } from) rows = rows.Where(c => c.CreatedAt >= from.ToUniversalTime());
        if (filter.Until is { } until) rows = rows.Where(c => c.CreatedAt < until.ToUniversalTime());
        return rows;
    }

    private IQueryable<Ranking> RankingsOnly()
    {
        var rows = db.Rankings.AsNoTracking().Where(r => !r.Surplus && r.Prompt!.ProjectId == projectId);
        if (filter.Batch is { } batch) rows = rows.Where(r => r.Task!.Batch == batch);
        if (filter.LabelerIds is { } labelers) rows = rows.Where(r => labelers.Contains(r.UserId));
        if (filter.ImportId is { } import) rows = rows.Where(r => r.Prompt!.ImportId == import);
        if (filter.Category is { } category) rows = rows.Where(r => r.Prompt!.Category == category);
        if (filter.Splits is { } splits) rows = rows.Where(r => splits.Contains(r.Prompt!.Split));
        if (filter.From is { } from) rows = rows.Where(r => r.CreatedAt >= from.ToUniversalTime());
        if (filter.Until is { } until) rows = rows.Where(r => r.CreatedAt < until.ToUniversalTime());
        return rows;
    }

    private IQueryable<Prompt> PromptsOnly()
    {
        var rows = db.Prompts.AsNoTracking().Where(p => p.ProjectId == projectId);
        if (filter.LabelerIds is { } labelers) rows = rows.Where(p => labelers.Contains(p.AuthorId!.Value));
        if (filter.ImportId is { } import) rows = rows.Where(p => p.ImportId == import);
        if (filter.Category is { } category) rows = rows.Where(p => p.Category == category);
        if (filter.Splits is { } splits) rows = rows.Where(p => splits.Contains(p.Split));
        if (filter.From is { } from) rows = rows.Where(p => p.CreatedAt >= from.ToUniversalTime());
        if (filter.Until is { } until) rows = rows.Where(p => p.CreatedAt < until.ToUniversalTime());
        return rows;
    }

    private IQueryable<T> Limited<T>(IQueryable<T> rows) => filter.Limit is { } limit ? rows.Take(limit) : rows;
}
