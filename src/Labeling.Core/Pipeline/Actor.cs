using Labeling.Core.Model;

namespace Labeling.Core.Pipeline;

/// <summary>Who sends a request. Travels in the request; the pipeline reads the person's present roles from the database.</summary>
public readonly record struct Actor(Guid? UserId, bool IsSystem)
{
    /// <summary>The installation itself: the worker, the migrator, the first start.</summary>
    public static readonly Actor System = new(null, true);

    /// <summary>Nobody signed in.</summary>
    public static readonly Actor Anonymous = new(null, false);

    public static Actor Person(Guid userId) => new(userId, false);
}

/// <summary>Every request: it carries its actor and answers a <see cref="Result{T}"/>.</summary>
public interface IRequest<T> : Mediator.IRequest<Result<T>>, IActedRequest;

public interface IActedRequest
{
    Actor Actor { get; }
}

/// <summary>
/// Who may send a request type: people with any of these roles (admins always), optionally the system.
/// Every request type has this or <see cref="AllowAnonymousAttribute"/>; an architecture test fails otherwise.
/// </summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class AllowAttribute(Roles any, bool system = false) : Attribute
{
    public Roles Any { get; } = any;

    public bool System { get; } = system;
}

[AttributeUsage(AttributeTargets.Class)]
public sealed class AllowAnonymousAttribute : Attribute;
