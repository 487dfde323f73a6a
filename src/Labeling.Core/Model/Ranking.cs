namespace Labeling.Core.Model;

/// <summary>One person's weak order (ties allowed) over the answers of a ranking task.</summary>
public sealed class Ranking
{
    public Guid Id { get; init; }
    public Guid TaskId { get; init; }
    public LabelingTask? Task { get; init; }
    public Guid AssignmentId { get; init; }
    public Guid PromptId { get; init; }
    public Prompt? Prompt { get; init; }
    public Guid UserId { get; init; }
    public Guid? GuidelineVersionId { get; init; }

    /// <summary>The completion ids from first to last place on this person's screen.</summary>
    public required Guid[] ShownOrder { get; init; }

    /// <summary>How much better the best is than the worst: 1 negligibly, 2 slightly, 3 clearly, 4 significantly (Llama 2's four levels).</summary>
    public int? Strength { get; init; }

    public bool NoneAcceptable { get; init; }
    public string? Notes { get; init; }
    public int? SecondsSpent { get; init; }
    /// <summary>True for work beyond the task's overlap: kept, shown, not counted.</summary>
    public bool Surplus { get; set; }
    public DateTimeOffset CreatedAt { get; init; }
    public List<RankingEntry> Entries { get; init; } = [];
    public List<CompletionRating> Ratings { get; init; } = [];
}

/// <summary>The place of one answer: 1 is best, equal numbers are a tie, no number is left out.</summary>
public sealed class RankingEntry
{
    public Guid RankingId { get; init; }
    public Guid CompletionId { get; init; }
    public Completion? Completion { get; init; }
    public int Rank { get; init; }
}

/// <summary>InstructGPT's yes/no fields per answer (arXiv 2203.02155, table 3).</summary>
[Flags]
public enum CompletionFlags
{
    None = 0,
    FailsInstruction = 1 << 0,
    InappropriateForAssistant = 1 << 1,
    Hallucination = 1 << 2,
    SatisfiesConstraint = 1 << 3,
    SexualContent = 1 << 4,
    ViolentContent = 1 << 5,
    EncouragesViolence = 1 << 6,
    DenigratesProtectedClass = 1 << 7,
    HarmfulAdvice = 1 << 8,
    ExpressesOpinion = 1 << 9,
    ExpressesMoralJudgment = 1 << 10,
}

/// <summary>One person's 1-7 overall quality and flags for one answer.</summary>
public sealed class CompletionRating
{
    public Guid RankingId { get; init; }
    public Guid CompletionId { get; init; }
    public int? Quality { get; init; }
    public CompletionFlags Flags { get; init; }
}
