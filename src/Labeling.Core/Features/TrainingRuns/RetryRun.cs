using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Core.Runs;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.TrainingRuns;

/// <summary>Puts a failed or cancelled run back in the queue; it continues from its last checkpoint.</summary>
[Allow(Roles.Admin)]
public sealed record RetryRun(Actor Actor, Guid Id) : IRequest<Done>;

internal sealed class RetryRunHandler(LabelingDbContext db) : IHandler<RetryRun, Done>
{
    public async ValueTask<Result<Done>> Handle(RetryRun request, CancellationToken cancellationToken)
    {
        if (await RunQueue.RequestRetryAsync(db, request.Id, cancellationToken))
        {
            db.Record(request.Actor, "run.retried", request.Id);
            await db.SaveChangesAsync(cancellationToken);
            return default(Done);
        }
        var state = await db.TrainingRuns.Where(run => run.Id == request.Id).Select(run => (RunState?)run.State).SingleOrDefaultAsync(cancellationToken);
        return state switch
        {
            null => Problem.NotFound("The run"),
            RunState.Completed => Problem.Conflict("The run has completed; start a new one instead."),
            _ => default(Done),
        };
    }
}
