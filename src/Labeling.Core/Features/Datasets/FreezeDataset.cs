using Labeling.Core.Model;
using Labeling.Core.Pipeline;

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
/// <param name="Splits">Only these splits.</param>
public sealed record DatasetFilter(
    Guid? ImportId = null, string? Category = null, string? Batch = null, IReadOnlyList<Guid>? LabelerIds = null, IReadOnlyList<Split>? Splits = null,
    DateTimeOffset? From = null, DateTimeOffset? Until = null, int? Limit = null);

public sealed record DatasetItemView(
    Guid Id, int Number, string Name, DatasetKind Kind, int Rows, string Sha256, IReadOnlyList<DatasetFileView> Files, int Labelers, DateTimeOffset CreatedAt, string? CreatedBy);

public sealed record DatasetFileView(Split Split, int Rows, long Bytes, string Sha256);
