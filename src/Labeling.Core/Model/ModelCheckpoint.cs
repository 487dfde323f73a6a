namespace Labeling.Core.Model;

public enum ModelKind { Policy, Reward }

/// <summary>A registered model: a Hugging Face folder in the blob store, and where it came from.</summary>
public sealed class ModelCheckpoint
{
    public Guid Id { get; init; }
    public Guid ProjectId { get; init; }
    public required string Name { get; set; }
    public ModelKind Kind { get; init; }

    /// <summary>The run that made it; none for a model brought in from outside. One run makes one model.</summary>
    public Guid? RunId { get; init; }
    public TrainingRun? Run { get; init; }

    public Guid? ParentId { get; init; }
    public string? Description { get; init; }

    /// <summary>Final figures, as JSON.</summary>
    public string? Metrics { get; init; }

    public DateTimeOffset? PromotedAt { get; set; }
    public DateTimeOffset CreatedAt { get; init; }
    public List<ModelFile> Files { get; init; } = [];
}

/// <summary>One file of the model's folder; its bytes are the blob with this hash.</summary>
public sealed class ModelFile
{
    public Guid ModelId { get; init; }
    public required string Path { get; init; }
    public required string Sha256 { get; init; }
    public long Bytes { get; init; }
}

/// <summary>What a reward model gives an answer.</summary>
public sealed class CompletionScore
{
    public Guid ModelId { get; init; }
    public Guid CompletionId { get; init; }
    public Completion? Completion { get; init; }
    public Split Split { get; init; }
    public double Score { get; init; }
}
