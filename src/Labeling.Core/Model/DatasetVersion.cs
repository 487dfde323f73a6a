namespace Labeling.Core.Model;

public enum DatasetKind { Demonstrations, Rankings, Prompts }

/// <summary>An immutable, hashed selection of demonstrations, rankings or prompts. Its JSONL files are blobs; its rows are links for lineage.</summary>
public sealed class DatasetVersion
{
    public Guid Id { get; init; }
    public Guid ProjectId { get; init; }
    public required string Name { get; init; }

    /// <summary>Counts up per project.</summary>
    public int Number { get; init; }

    public DatasetKind Kind { get; init; }

    /// <summary>The selection as asked for, as JSON.</summary>
    public required string Filter { get; init; }

    public int RowCount { get; init; }

    /// <summary>SHA-256 over the hashes of the files in split order.</summary>
    public required string Sha256 { get; init; }

    public Guid? CreatedById { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public List<DatasetFile> Files { get; init; } = [];
}

/// <summary>The rows of one split as JSONL in TRL's shapes.</summary>
public sealed class DatasetFile
{
    public Guid DatasetVersionId { get; init; }
    public Split Split { get; init; }
    public int Rows { get; init; }
    public long Bytes { get; init; }
    public required string Sha256 { get; init; }
}

/// <summary>Which label stands behind a row: a completion, a ranking or a prompt, and who made it.</summary>
public sealed class DatasetItem
{
    public Guid DatasetVersionId { get; init; }
    public Split Split { get; init; }
    public int Ordinal { get; init; }
    public Guid PromptId { get; init; }
    public Guid? CompletionId { get; init; }
    public Guid? RankingId { get; init; }
    public Guid? LabelerId { get; init; }
}
