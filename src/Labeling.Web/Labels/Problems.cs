using Labeling.Core.Pipeline;

namespace Labeling.Web.Labels;

/// <summary>An expected failure as application/problem+json.</summary>
public static class Problems
{
    public static IResult Answer(Problem problem)
    {
        var status = problem.Kind switch
        {
            ProblemKind.Forbidden => StatusCodes.Status403Forbidden,
            ProblemKind.NotFound => StatusCodes.Status404NotFound,
            ProblemKind.Conflict => StatusCodes.Status409Conflict,
            _ => StatusCodes.Status400BadRequest,
        };
        var extensions = problem.Fields is null ? null : new Dictionary<string, object?> { ["errors"] = problem.Fields };
        return Results.Problem(problem.Message, statusCode: status, title: problem.Kind.ToString(), extensions: extensions);
    }
}
