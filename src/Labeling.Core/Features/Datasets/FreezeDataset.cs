using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Core.Storage;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Labeling.Core.Features.Datasets;

/// <summary>
/// Freezes the present labels that match into an immutable, hashed dataset version: one JSONL file per split in TRL's shapes, in the blob store.
/// The same selection of the same labels gives the same bytes.
/// </summary>
[Allow(Roles.Admin)]
public sealed record FreezeDataset(Actor Actor, Guid Id, Guid ProjectId, string Name, DatasetKind Kind, DatasetFilter Filter) : IRequest<DatasetItemView>;

/// <summary>All conditions hold together; null is no condition.</summary>
/// <param name="ImportId">Prompts of one import.</param>
/// <param name="Batch">Rankings of tasks of one batch, e.g. one sample run.</param>
/// <param name="LabelerIds">Demonstrations and rankings by these people; prompts written by them.</param>
/// <param name="Splits">Only these splits.</param>
/// <param name="From">Labels made at this time or later.</param>
/// <param name="Until">Labels made before this time.</param>
/// <param name="Limit">At most this many rows, the oldest ids first.</param>
public sealed record DatasetFilter(
    Guid? ImportId = null, string? Category = null, string? Batch = null, IReadOnlyList<Guid>? LabelerIds = null, IReadOnlyList<Split>? Splits = null,
    DateTimeOffset? From = null, DateTimeOffset? Until = null, int? Limit = null);

public sealed record DatasetItemView(
    Guid Id, int Number, string Name, DatasetKind Kind, int Rows, string Sha256, IReadOnlyList<DatasetFileView> Files, int Labelers, DateTimeOffset CreatedAt, string? CreatedBy);

public sealed record DatasetFileView(Split Split, int Rows, long Bytes, string Sha256);

internal sealed class FreezeDatasetValidator : AbstractValidator<FreezeDataset>
{
    public FreezeDatasetValidator() => RuleFor(request => request.Name).NotEmpty().MaximumLength(200);
}

internal sealed class FreezeDatasetHandler(LabelingDbContext db, IBlobStore blobs) : IHandler<FreezeDataset, DatasetItemView>
{
    private static readonly JsonSerializerOptions FilterJson = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    public async ValueTask<Result<DatasetItemView>> Handle(FreezeDataset request, CancellationToken cancellationToken)
    {
        // All reads below see the labels of one moment, however many more arrive meanwhile.
        await db.Database.ExecuteSqlRawAsync("set transaction isolation level repeatable read", cancellationToken);
        if (await db.DatasetVersions.AnyAsync(dataset => dataset.Id == request.Id, cancellationToken))
            return await DatasetViews.Of(db, db.DatasetVersions.Where(dataset => dataset.Id == request.Id)).SingleAsync(cancellationToken);
        if (!await db.Projects.AnyAsync(project => project.Id == request.ProjectId, cancellationToken)) return Problem.NotFound("The project");
        if (DatasetSelection.Check(request.Kind, request.Filter) is { } wrong) return wrong;

        await using var files = new DatasetFiles();
        var items = await WriteAsync(request, files, cancellationToken);
        if (items.Count == 0) return Problem.Invalid("filter", Nothing(request.Kind));

        var stored = await files.StoreAsync(blobs, request.Id, cancellationToken);
        db.DatasetVersions.Add(new()
        {
            Id = request.Id,
            ProjectId = request.ProjectId,
            Name = request.Name.Trim(),
            Number = 1 + (await db.DatasetVersions.Where(dataset => dataset.ProjectId == request.ProjectId).MaxAsync(dataset => (int?)dataset.Number, cancellationToken) ?? 0),
            Kind = request.Kind,
            Filter = JsonSerializer.Serialize(request.Filter, FilterJson),
            RowCount = items.Count,
            Sha256 = Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(string.Concat(stored.Select(file => file.Sha256))))),
            CreatedById = request.Actor.UserId,
            Files = stored,
        });
        db.Record(request.Actor, "dataset.frozen", request.Id, $"{request.Name.Trim()}: {items.Count} {request.Kind.ToString().ToLowerInvariant()}");
        await db.SaveChangesAsync(cancellationToken);
        await CopyAsync(items, cancellationToken);
        return await DatasetViews.Of(db, db.DatasetVersions.Where(dataset => dataset.Id == request.Id)).SingleAsync(cancellationToken);
    }

    private async Task<List<DatasetItem>> WriteAsync(FreezeDataset request, DatasetFiles files, CancellationToken cancel)
    {
        var selection = new DatasetSelection(db, request.ProjectId, request.Filter);
        var items = new List<DatasetItem>();
        void Add(Split split, Action<Stream> write, Guid promptId, Guid? labelerId, Guid? completionId = null, Guid? rankingId = null) => items.Add(new()
        {
            DatasetVersionId = request.Id,
            Split = split,
            Ordinal = files.Add(split, write),
            PromptId = promptId,
            CompletionId = completionId,
            RankingId = rankingId,
            LabelerId = labelerId,
        });

        switch (request.Kind)
        {
            case DatasetKind.Demonstrations:
                await foreach (var row in selection.Demonstrations().AsAsyncEnumerable().WithCancellation(cancel))
                    Add(row.Split, file => DatasetRows.Write(file, row), row.PromptId, row.AuthorId, completionId: row.Id);
                break;
            case DatasetKind.Rankings:
                await foreach (var row in selection.Rankings().AsAsyncEnumerable().WithCancellation(cancel))
                    Add(row.Split, file => DatasetRows.Write(file, row), row.PromptId, row.LabelerId, rankingId: row.Id);
                break;
            default:
                await foreach (var row in selection.Prompts().AsAsyncEnumerable().WithCancellation(cancel))
                    Add(row.Split, file => DatasetRows.Write(file, row), row.Id, row.AuthorId);
                break;
        }
        return items;
    }

    /// <summary>One row per label, by COPY: a dataset may have a hundred thousand.</summary>
    private async Task CopyAsync(List<DatasetItem> items, CancellationToken cancel)
    {
        var connection = (NpgsqlConnection)db.Database.GetDbConnection();
        await using var import = await connection.BeginBinaryImportAsync(
            "copy dataset_items (dataset_version_id, split, ordinal, prompt_id, completion_id, ranking_id, labeler_id) from stdin (format binary)", cancel);
        foreach (var item in items)
        {
            await import.StartRowAsync(cancel);
            await import.WriteAsync(item.DatasetVersionId, cancel);
            await import.WriteAsync(item.Split.ToString().ToLowerInvariant(), cancel);
            await import.WriteAsync(item.Ordinal, cancel);
            await import.WriteAsync(item.PromptId, cancel);
            foreach (var id in new[] { item.CompletionId, item.RankingId, item.LabelerId })
                await WriteAsync(import, id, cancel);
        }
        await import.CompleteAsync(cancel);
    }

    private static Task WriteAsync(NpgsqlBinaryImporter import, Guid? id, CancellationToken cancel) =>
        id is { } value ? import.WriteAsync(value, cancel) : import.WriteNullAsync(cancel);

    private static string Nothing(DatasetKind kind) => kind switch
    {
        DatasetKind.Demonstrations => "No demonstration matches. Widen the filter, or have people write some first.",
        DatasetKind.Rankings => "No ranking matches. Widen the filter, or have people rank answers first.",
        _ => "No prompt matches. Widen the filter, or import prompts first.",
    };
}
