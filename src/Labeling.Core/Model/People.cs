using Microsoft.AspNetCore.Identity;

namespace Labeling.Core.Model;

/// <summary>What a person may do. An admin may do everything an annotator or ranker may.</summary>
[Flags]
public enum Roles
{
    None = 0,
    Annotator = 1,
    Ranker = 2,
    Admin = 4,
}

/// <summary>A person who can sign in. The e-mail address is their user name.</summary>
public sealed class AppUser : IdentityUser<Guid>
{
    public required string DisplayName { get; set; }
    public Roles Roles { get; set; }
    public DateTimeOffset CreatedAt { get; set; }

    /// <summary>Set when an admin shuts the person out; their labels stay.</summary>
    public DateTimeOffset? DisabledAt { get; set; }

    public bool May(Roles any) => DisabledAt is null && (Roles.HasFlag(Roles.Admin) || (Roles & any) != 0);
}

/// <summary>A single-use link that lets one person in with the roles it names. Only the hash of its secret is stored.</summary>
public sealed class Invitation
{
    public Guid Id { get; init; }
    public required byte[] TokenHash { get; init; }
    public Roles Roles { get; init; }
    public string? Note { get; init; }
    public Guid? CreatedById { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset ExpiresAt { get; init; }
    public DateTimeOffset? UsedAt { get; set; }
    public Guid? UsedById { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }

    /// <summary>The link the installation makes for its first admin.</summary>
    public bool IsSetup => CreatedById is null;
}

/// <summary>A secret for the HTTP API: shown once, stored as a SHA-256 hash, found by its prefix.</summary>
public sealed class ApiKey
{
    public Guid Id { get; init; }
    public Guid UserId { get; init; }
    public AppUser? User { get; init; }
    public required string Name { get; init; }
    public required string Prefix { get; init; }
    public required byte[] Hash { get; init; }
    public DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? LastUsedAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }
}

/// <summary>Who did what, append-only.</summary>
public sealed class AuditEvent
{
    public Guid Id { get; init; }
    public DateTimeOffset At { get; init; }
    public Guid? ActorId { get; init; }
    public required string Action { get; init; }
    public string? Subject { get; init; }
    public string? Details { get; init; }
}
