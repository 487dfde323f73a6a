namespace Labeling.Core.Model;

public enum TaskKind { Demonstration, Ranking }

public enum TaskState { Open, Done, Cancelled }

/// <summary>A unit of work for people: write a demonstration, or rank the answers attached to it.</summary>
public sealed class LabelingTask
{
    public Guid Id { get; init; }
    public Guid ProjectId { get; init; }
    public Guid PromptId { get; init; }
    public Prompt? Prompt { get; init; }
    public TaskKind Kind { get; init; }
    public TaskState State { get; set; }

    /// <summary>How many people are wanted. At most this many hold or have finished the task at any moment.</summary>
    public int Overlap { get; init; }

    /// <summary>Live leases plus finished assignments; kept under the task's row lock.</summary>
    public int Taken { get; set; }

    public int Finished { get; set; }

    /// <summary>When the first of the live leases runs out, by the database clock.</summary>
    public DateTimeOffset? NextLapseAt { get; set; }

    public int Priority { get; init; }

    /// <summary>Groups tasks made together, e.g. by one sample run or one comparison.</summary>
    public string? Batch { get; init; }

    public Guid? RunId { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public List<TaskCompletion> Completions { get; init; } = [];
}

/// <summary>One answer shown in a ranking task.</summary>
public sealed class TaskCompletion
{
    public Guid TaskId { get; init; }
    public Guid CompletionId { get; init; }
    public Completion? Completion { get; init; }
    public int Ordinal { get; init; }
}

/// <summary>
/// active: leased. submitted: finished and counted. surplus: finished after the task was full, kept but not counted.
/// skipped: given back with a reason. lapsed: the lease ran out; its draft stays and a late submission is still taken.
/// </summary>
public enum AssignmentState { Active, Submitted, Surplus, Skipped, Lapsed }

/// <summary>One person's hold on one task. Unique per (task, person): nobody gets the same task twice.</summary>
public sealed class Assignment
{
    public Guid Id { get; init; }
    public Guid TaskId { get; init; }
    public LabelingTask? Task { get; init; }
    public Guid UserId { get; init; }
    public AssignmentState State { get; set; }

    /// <summary>The task's overlap, repeated here so that the database itself can hold the slot against it.</summary>
    public int Overlap { get; init; }

    /// <summary>1..overlap while active or submitted; a unique index over (task, slot) makes an excess impossible.</summary>
    public int? Slot { get; set; }

    public Guid LeaseToken { get; set; }
    public DateTimeOffset ClaimedAt { get; init; }
    public DateTimeOffset ExpiresAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }
    public string? SkipReason { get; set; }
    public Guid? GuidelineVersionId { get; init; }

    /// <summary>For a ranking: the completion ids in the order this person sees them.</summary>
    public Guid[]? ShownOrder { get; init; }

    /// <summary>What the person has typed or arranged so far: the text of a demonstration, JSON of a ranking.</summary>
    public string? Draft { get; set; }

    /// <summary>Grows with each saved draft; a save on an older version is a conflict.</summary>
    public int DraftVersion { get; set; }

    public DateTimeOffset? DraftSavedAt { get; set; }
}
