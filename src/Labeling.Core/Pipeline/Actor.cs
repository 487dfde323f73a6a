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

/// <summary>A request that only reads: it runs without a transaction of its own.</summary>
public interface IQuery<T> : IRequest<T>, IReadOnlyRequest;

/// <summary>The mark of <see cref="IQuery{T}"/> without its type argument.</summary>
public interface IReadOnlyRequest;

/// <summary>A request whose input can be read only once, e.g. an upload: it is not tried again by itself after a lost connection.</summary>
public interface IReadOnceRequest;

/// <summary>The one handler of a request, in the same file as the request.</summary>
public interface IHandler<in TRequest, T> : Mediator.IRequestHandler<TRequest, Result<T>>
    where TRequest : IRequest<T>;

public interface IActedRequest
{
    Actor Actor { get; }
}

/// <summary>
/// Who may send a request type: people with any of these roles (admins always; with no role named, nobody), optionally the system.
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
