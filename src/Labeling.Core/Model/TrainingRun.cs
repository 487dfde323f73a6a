namespace Labeling.Core.Model;

/// <summary>The stages a run can be; in run.json and on the command line their names are lower case.</summary>
public enum RunStage { Sft, Sample, Reward, Ppo, Dpo }

public enum RunState { Available, Running, Retryable, Completed, Failed, Cancelled }

public enum RunModelRole { Base, Reward, Sampled }

/// <summary>One stage on one dataset version. The columns under "queue" are written by Runs/ only, fenced by the lease token.</summary>
public sealed class TrainingRun
{
    public Guid Id { get; init; }
    public Guid ProjectId { get; init; }
    public required string Name { get; init; }
    public RunStage Stage { get; init; }

    /// <summary>Hyperparameters as JSON, checked against Runs/stages.json when the run was started.</summary>
    public required string Hyperparameters { get; init; }

    public long Seed { get; init; }
    public Guid DatasetVersionId { get; init; }
    public DatasetVersion? DatasetVersion { get; init; }

    /// <summary>For sampling: make ranking tasks of the answers, and how many people rank each.</summary>
    public bool CreateRankingTasks { get; init; }

    public string? Batch { get; init; }
    public Guid? CreatedById { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public List<TrainingRunModel> Models { get; init; } = [];

    // Queue
    public RunState State { get; set; }
    public int Priority { get; set; }
    public int Attempt { get; set; }
    public int MaxAttempts { get; init; } = 3;
    public DateTimeOffset AvailableAt { get; set; }
    public Guid? LeaseToken { get; set; }
    public string? LeaseOwner { get; set; }
    public DateTimeOffset? LeaseExpiresAt { get; set; }
    public DateTimeOffset? CancelRequestedAt { get; set; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }
    public string? FailureReason { get; set; }

    // What the trainer reports
    public string? Phase { get; set; }
    public int Step { get; set; }
    public int? TotalSteps { get; set; }
    public DateTimeOffset? ProgressAt { get; set; }

    /// <summary>The last lines of log.txt.</summary>
    public string? LogTail { get; set; }

    /// <summary>Final figures of result.json, as JSON.</summary>
    public string? Result { get; set; }
}

/// <summary>A model a run starts from or uses.</summary>
public sealed class TrainingRunModel
{
    public Guid RunId { get; init; }
    public Guid ModelId { get; init; }
    public ModelCheckpoint? Model { get; init; }
    public RunModelRole Role { get; init; }
    public int Ordinal { get; init; }
}

/// <summary>One line of metrics.jsonl. The key (run, step) makes a second ingestion harmless.</summary>
public sealed class RunMetric
{
    public Guid RunId { get; init; }
    public int Step { get; init; }
    public DateTimeOffset Time { get; init; }

    /// <summary>Metric names to numbers, as JSON.</summary>
    public required string Values { get; init; }
}
