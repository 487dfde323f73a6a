using System.Buffers.Binary;

namespace Labeling.Core.Model;

/// <summary>One turn of a conversation: role is system, user or assistant.</summary>
public sealed record Message(string Role, string Content);

public enum PromptSource { Labeler, Api, Import }

/// <summary>Which part of the data a row belongs to. Decided once per author, so that no author is in two splits.</summary>
public enum Split { Train, Valid, Test }

/// <summary>What the model is asked: one or more messages, the last one from the user.</summary>
public sealed class Prompt
{
    public Guid Id { get; init; }
    public Guid ProjectId { get; init; }
    public Project? Project { get; init; }

    /// <summary>Stored as json text, so that every message comes back byte for byte.</summary>
    public required IReadOnlyList<Message> Messages { get; init; }

    public PromptSource Source { get; init; }

    /// <summary>Who wrote the prompt, when it was a person of this installation.</summary>
    public Guid? AuthorId { get; init; }

    /// <summary>The author's name in imported data; fixes the split together with every other prompt of that author.</summary>
    public string? Author { get; init; }

    /// <summary>The importer's own key for the row, unique in the project.</summary>
    public string? ExternalId { get; init; }

    public string? Category { get; init; }
    public string? Language { get; init; }
    public Split Split { get; init; }
    public bool Consent { get; init; }

    /// <summary>SHA-256 of the messages: the same prompt is imported once per project.</summary>
    public required byte[] ContentHash { get; init; }

    public Guid? ImportId { get; init; }
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>80 % train, 10 % valid, 10 % test, decided by a SHA-256: of the author's name, so that an author stays together, or of the content.</summary>
    public static Split SplitOf(ReadOnlySpan<byte> sha256) => (BinaryPrimitives.ReadUInt64BigEndian(sha256) % 100) switch
    {
        < 80 => Split.Train,
        < 90 => Split.Valid,
        _ => Split.Test,
    };
}

/// <summary>An author named in imported data and the split all their prompts are in, decided once with the first of them.</summary>
public sealed class PromptAuthor
{
    public Guid ProjectId { get; init; }
    public required string Author { get; init; }
    public Split Split { get; init; }
}

/// <summary>One upload of prompts and what became of its lines.</summary>
public sealed class PromptImport
{
    public Guid Id { get; init; }
    public Guid ProjectId { get; init; }
    public required string FileName { get; init; }
    public int Imported { get; set; }
    public int Duplicates { get; set; }
    public int Rejected { get; set; }

    /// <summary>The first rejected lines with their reasons, as JSON, so that the same upload again answers the same report.</summary>
    public string Problems { get; set; } = "[]";
    public Guid? CreatedById { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
}
