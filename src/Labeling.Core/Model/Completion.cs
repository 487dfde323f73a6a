namespace Labeling.Core.Model;

public enum CompletionSource { Human, Model, Edited }

/// <summary>An answer to a prompt: written by a person (a demonstration), sampled from a model, or edited from another answer.</summary>
public sealed class Completion
{
    public Guid Id { get; init; }
    public Guid PromptId { get; init; }
    public Prompt? Prompt { get; init; }
    public CompletionSource Source { get; init; }
    public required string Text { get; init; }

    // Human and edited answers
    public Guid? AuthorId { get; init; }
    public Guid? AssignmentId { get; init; }
    public Guid? GuidelineVersionId { get; init; }
    public int? SecondsSpent { get; init; }
    public Guid? EditedFromId { get; init; }

    /// <summary>True for work beyond the task's overlap: kept, shown, not counted.</summary>
    public bool Surplus { get; init; }

    // Model answers
    public Guid? ModelId { get; init; }
    public Guid? RunId { get; init; }
    public int? SampleIndex { get; init; }
    public double? Temperature { get; init; }
    public double? TopP { get; init; }
    public long? Seed { get; init; }
    public int? TokenCount { get; init; }

    /// <summary>"stop" when the model ended by itself, "length" when it was cut.</summary>
    public string? FinishReason { get; init; }

    public DateTimeOffset CreatedAt { get; init; }
}
