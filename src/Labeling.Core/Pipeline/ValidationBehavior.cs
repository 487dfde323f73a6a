using FluentValidation;
using Mediator;

namespace Labeling.Core.Pipeline;

/// <summary>What holds for every request (<see cref="WellFormed"/>), then the request's own validator. Field names are paths in camelCase: <c>answers[2].rank</c>.</summary>
public sealed class ValidationBehavior<TMessage, TResponse>(IEnumerable<IValidator<TMessage>> validators) : IPipelineBehavior<TMessage, TResponse>
    where TMessage : IActedRequest, IMessage
    where TResponse : IResult<TResponse>
{
    public async ValueTask<TResponse> Handle(TMessage message, MessageHandlerDelegate<TMessage, TResponse> next, CancellationToken cancellationToken)
    {
        var failures = WellFormed.Check(message).ToList();
        if (failures.Count == 0)
        {
            foreach (var validator in validators)
            {
                var result = await validator.ValidateAsync(message, cancellationToken);
                failures.AddRange(result.Errors.Select(error => (CamelCase(error.PropertyName), error.ErrorMessage)));
            }
        }

        if (failures.Count == 0) return await next(message, cancellationToken);
        var fields = failures.GroupBy(f => f.Field, f => f.Message).ToDictionary(group => group.Key, group => group.Distinct().ToArray());
        return TResponse.From(new Problem(ProblemKind.Invalid, failures[0].Message, fields));
    }

    private static string CamelCase(string path) => string.Join('.', path.Split('.').Select(WellFormed.CamelCase));
}
