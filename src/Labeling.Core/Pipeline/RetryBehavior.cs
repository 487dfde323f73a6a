using Labeling.Core.Data;
using Mediator;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Labeling.Core.Pipeline;

/// <summary>
/// Sends a request again after a lost connection, a deadlock or a collision with its own twin. Safe even when the lost answer was a commit: ids are made by the
/// sender, so the second try finds what the first one stored and answers that.
/// </summary>
public sealed class RetryBehavior<TMessage, TResponse>(LabelingDbContext db, ILogger<RetryBehavior<TMessage, TResponse>> logger) : IPipelineBehavior<TMessage, TResponse>
    where TMessage : IActedRequest, IMessage
    where TResponse : IResult<TResponse>
{
    private static readonly TimeSpan[] Pauses = [.. new[] { 20, 100, 400, 1500, 3000 }.Select(ms => TimeSpan.FromMilliseconds(ms))];

    public async ValueTask<TResponse> Handle(TMessage message, MessageHandlerDelegate<TMessage, TResponse> next, CancellationToken cancellationToken)
    {
        var mayRepeat = message is not IReadOnceRequest && db.Database.CurrentTransaction is null;
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await next(message, cancellationToken);
            }
            catch (Exception e) when (mayRepeat && attempt < Pauses.Length && IsWorthRepeating(e) && !cancellationToken.IsCancellationRequested)
            {
                logger.LogWarning("{Request} is tried again: {Reason}", typeof(TMessage).Name, e.GetBaseException().Message);
            }

            db.ChangeTracker.Clear();
            await Task.Delay(Pauses[attempt], cancellationToken);
        }
    }

    /// <summary>EF wraps the driver's exception, sometimes twice.</summary>
    private static bool IsWorthRepeating(Exception? e) => e switch
    {
        null => false,
        PostgresException { SqlState: PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown } => true,
        NpgsqlException { IsTransient: true } => true,
        DbUpdateException or InvalidOperationException or NpgsqlException => IsWorthRepeating(e.InnerException),
        _ => false,
    };
}
