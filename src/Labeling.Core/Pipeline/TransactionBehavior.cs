using Labeling.Core.Data;
using Mediator;

namespace Labeling.Core.Pipeline;

/// <summary>One transaction per command (READ COMMITTED): committed when it answers a value, rolled back when it answers a problem. Queries have none.</summary>
public sealed class TransactionBehavior<TMessage, TResponse>(LabelingDbContext db) : IPipelineBehavior<TMessage, TResponse>
    where TMessage : IActedRequest, IMessage
    where TResponse : IResult<TResponse>
{
    public async ValueTask<TResponse> Handle(TMessage message, MessageHandlerDelegate<TMessage, TResponse> next, CancellationToken cancellationToken)
    {
        if (message is IReadOnlyRequest || db.Database.CurrentTransaction is not null) return await next(message, cancellationToken);
        await using var transaction = await db.Database.BeginTransactionAsync(cancellationToken);
        var response = await next(message, cancellationToken);
        if (response.Problem is null) await transaction.CommitAsync(cancellationToken);
        return response;
    }
}
