namespace Labeling.Core.Model;

/// <summary>A team's effort: its prompts, guidelines and labeling rules.</summary>
public sealed class Project
{
    public const int MinAnswers = 2;
    public const int MaxAnswers = 9;
    public const int MaxOverlap = 100;

    /// <summary>One week.</summary>
    public const int MaxLeaseMinutes = 10_080;

    public Guid Id { get; init; }
    public required string Name { get; set; }
    public string Description { get; set; } = "";

    /// <summary>How many people write a demonstration for the same prompt.</summary>
    public int DemonstrationOverlap { get; set; } = 1;

    /// <summary>How many people rank the same answers.</summary>
    public int RankingOverlap { get; set; } = 1;

    /// <summary>K: how many answers are sampled per prompt and shown to a ranker (InstructGPT: 4 to 9).</summary>
    public int AnswersPerPrompt { get; set; } = 4;

    /// <summary>How long a claimed task stays with a person who does nothing; every draft renews it.</summary>
    public int LeaseMinutes { get; set; } = 30;

    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? ArchivedAt { get; set; }
}

/// <summary>The instructions people label by. Never changed: an edit is the next number.</summary>
public sealed class GuidelineVersion
{
    public Guid Id { get; init; }
    public Guid ProjectId { get; init; }
    public int Number { get; init; }
    public required string Markdown { get; init; }
    public Guid? AuthorId { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
}
