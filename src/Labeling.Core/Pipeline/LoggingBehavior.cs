using System.Diagnostics;
using Mediator;
using Microsoft.Extensions.Logging;

namespace Labeling.Core.Pipeline;

/// <summary>One line per request: what, who, how long, how it ended. Never its content, which may be a password or somebody's work.</summary>
public sealed class LoggingBehavior<TMessage, TResponse>(ILogger<LoggingBehavior<TMessage, TResponse>> logger) : IPipelineBehavior<TMessage, TResponse>
    where TMessage : IActedRequest, IMessage
    where TResponse : IResult<TResponse>
{
    public async ValueTask<TResponse> Handle(TMessage message, MessageHandlerDelegate<TMessage, TResponse> next, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var who = message.Actor.IsSystem ? "system" : message.Actor.UserId?.ToString() ?? "anonymous";
        try
        {
            var response = await next(message, cancellationToken);
            var milliseconds = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            if (response.Problem is { } problem)
            {
                logger.LogInformation("{Request} by {Actor} answered {Problem} in {Milliseconds:0} ms", typeof(TMessage).Name, who, problem.Kind, milliseconds);
            }
            else
            {
                logger.LogDebug("{Request} by {Actor} done in {Milliseconds:0} ms", typeof(TMessage).Name, who, milliseconds);
            }

            return response;
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            logger.LogError(e, "{Request} by {Actor} failed after {Milliseconds:0} ms", typeof(TMessage).Name, who, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            throw;
        }
    }
}
