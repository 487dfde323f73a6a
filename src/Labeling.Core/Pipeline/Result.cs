namespace Labeling.Core.Pipeline;

public enum ProblemKind { Invalid, Forbidden, NotFound, Conflict }

/// <summary>An expected failure in words for the person who caused it. <paramref name="Fields"/> names what to change.</summary>
public sealed record Problem(ProblemKind Kind, string Message, IReadOnlyDictionary<string, string[]>? Fields = null)
{
    public static Problem Invalid(string field, string message) =>
        new(ProblemKind.Invalid, message, new Dictionary<string, string[]> { [field] = [message] });

    public static Problem NotFound(string what) => new(ProblemKind.NotFound, $"{what} does not exist or is not yours to see.");

    public static Problem Conflict(string message, string? field = null) => new(ProblemKind.Conflict, message, On(field, message));

    public static Problem Forbidden(string message, string? field = null) => new(ProblemKind.Forbidden, message, On(field, message));

    private static Dictionary<string, string[]>? On(string? field, string message) => field is null ? null : new() { [field] = [message] };
}

/// <summary>Lets the pipeline answer any request with a problem without knowing its type.</summary>
public interface IResult<TSelf> where TSelf : IResult<TSelf>
{
    static abstract TSelf From(Problem problem);

    Problem? Problem { get; }
}

/// <summary>What every request answers: a value, or the problem that stood in the way.</summary>
public sealed record Result<T> : IResult<Result<T>>
{
    private Result(T? value, Problem? problem) => (_value, Problem) = (value, problem);

    private readonly T? _value;

    public Problem? Problem { get; }

    public bool Ok => Problem is null;

    /// <summary>The value. Throws when the request failed: ask <see cref="Ok"/> first.</summary>
    public T Value => Problem is null ? _value! : throw new InvalidOperationException(Problem.Message);

    public static Result<T> From(Problem problem) => new(default, problem);

    public static implicit operator Result<T>(T value) => new(value, null);

    public static implicit operator Result<T>(Problem problem) => From(problem);
}

/// <summary>For requests that only do something.</summary>
public readonly record struct Done;
