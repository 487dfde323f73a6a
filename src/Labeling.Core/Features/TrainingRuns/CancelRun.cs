using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Core.Runs;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.TrainingRuns;

/// <summary>Stops a waiting run at once and a running one after its present step, with a checkpoint.</summary>
[Allow(Roles.Admin)]
public sealed record CancelRun(Actor Actor, Guid Id) : IRequest<Done>;

internal sealed class CancelRunHandler(LabelingDbContext db) : IHandler<CancelRun, Done>
{
    public async ValueTask<Result<Done>> Handle(CancelRun request, CancellationToken cancellationToken)
    {
        if (await RunQueue.RequestCancelAsync(db, request.Id, cancellationToken))
        {
            db.Record(request.Actor, "run.cancelled", request.Id);
            await db.SaveChangesAsync(cancellationToken);
            return default(Done);
        }
        var state = await db.TrainingRuns.Where(run => run.Id == request.Id).Select(run => (RunState?)run.State).SingleOrDefaultAsync(cancellationToken);
        return state switch
        {
            null => Problem.NotFound("The run"),
            RunState.Cancelled => default(Done),
            _ => Problem.Conflict($"The run has already {state.ToString()!.ToLowerInvariant()}."),
        };
    }
}
