using System.Globalization;
using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Models;

/// <summary>The single labels a model's own dataset was made of, paged; of a dataset of prompts, those it practised on.</summary>
[Allow(Roles.Admin)]
public sealed record GetModelLabels(Actor Actor, Guid ModelId, string? After = null, int Size = 50) : IQuery<Page<ModelLabel>>;

public sealed record ModelLabel(Guid Id, DatasetKind Kind, Guid PromptId, string PromptPreview, string Label, string? Labeler, Split Split);

internal sealed class GetModelLabelsValidator : AbstractValidator<GetModelLabels>
{
    public GetModelLabelsValidator()
    {
        RuleFor(request => request.Size).MustBePageSize();
        RuleFor(request => request.After).Must(key => key is null || GetModelLabelsHandler.TryReadKey(key, out _, out _))
            .WithMessage("'{PropertyName}' is not a key this list gave out; leave it empty for the first page.");
    }
}

internal sealed class GetModelLabelsHandler(LabelingDbContext db) : IHandler<GetModelLabels, Page<ModelLabel>>
{
    // The database sorts the splits by their names.
    private static readonly Split[] Order = [Split.Test, Split.Train, Split.Valid];

    public async ValueTask<Result<Page<ModelLabel>>> Handle(GetModelLabels request, CancellationToken cancellationToken)
    {
        var model = await db.Models.Where(model => model.Id == request.ModelId)
            .Select(model => new { Dataset = model.Run == null ? null : (Guid?)model.Run.DatasetVersionId, Kind = model.Run == null ? null : (DatasetKind?)model.Run.DatasetVersion!.Kind })
            .SingleOrDefaultAsync(cancellationToken);
        if (model is null) return Problem.NotFound("The model");
        if (model is not { Dataset: { } datasetId, Kind: { } kind }) return new Page<ModelLabel>([], null);

        var items = db.DatasetItems.AsNoTracking().Where(item => item.DatasetVersionId == datasetId && (kind != DatasetKind.Prompts || item.Split == Split.Train));
        if (request.After is not null && TryReadKey(request.After, out var split, out var ordinal))
        {
            var later = Order[(Array.IndexOf(Order, split) + 1)..];
            items = items.Where(item => later.Contains(item.Split) || (item.Split == split && item.Ordinal > ordinal));
        }
        var rows = await items.OrderBy(item => item.Split).ThenBy(item => item.Ordinal).Take(request.Size + 1)
            .Select(item => new
            {
                item.Split,
                item.Ordinal,
                item.PromptId,
                Id = item.CompletionId ?? item.RankingId ?? item.PromptId,
                Messages = db.Prompts.Where(prompt => prompt.Id == item.PromptId).Select(prompt => prompt.Messages).First(),
                Demonstration = db.Completions.Where(completion => completion.Id == item.CompletionId).Select(completion => completion.Text).FirstOrDefault(),
                Answers = db.RankingEntries.Count(entry => entry.RankingId == item.RankingId),
                Best = db.RankingEntries.Where(entry => entry.RankingId == item.RankingId).OrderBy(entry => entry.Rank).ThenBy(entry => entry.CompletionId)
                    .Select(entry => entry.Completion!.Text).FirstOrDefault(),
                Labeler = db.Users.Where(user => user.Id == item.LabelerId).Select(user => user.DisplayName).FirstOrDefault(),
            }).ToListAsync(cancellationToken);
        var labels = rows.Take(request.Size).Select(row => new ModelLabel(
            row.Id, kind, row.PromptId, Texts.Preview(row.Messages[^1].Content),
            row.Demonstration is { } text ? Texts.Preview(text) : row.Best is { } best ? $"{row.Answers} answers, best: {Texts.Preview(best)}" : "", row.Labeler, row.Split)).ToList();
        var last = rows.Count > request.Size ? rows[request.Size - 1] : null;
        return new Page<ModelLabel>(labels, last is null ? null : $"{last.Split.ToString().ToLowerInvariant()}-{last.Ordinal}");
    }

    internal static bool TryReadKey(string key, out Split split, out int ordinal)
    {
        (split, ordinal) = (default, default);
        var parts = key.Split('-');
        return parts.Length == 2 && Enum.TryParse(parts[0], ignoreCase: true, out split) && Enum.IsDefined(split)
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out ordinal);
    }
}
