using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Models;

/// <summary>Marks the policy the project samples from by default. One per project.</summary>
[Allow(Roles.Admin)]
public sealed record PromoteModel(Actor Actor, Guid Id) : IRequest<Done>;

internal sealed class PromoteModelHandler(LabelingDbContext db) : IHandler<PromoteModel, Done>
{
    public async ValueTask<Result<Done>> Handle(PromoteModel request, CancellationToken cancellationToken)
    {
        var model = await db.Models.AsNoTracking().SingleOrDefaultAsync(model => model.Id == request.Id, cancellationToken);
        if (model is null) return Problem.NotFound("The model");
        if (model.Kind != ModelKind.Policy) return Problem.Invalid("id", "Only a policy can be promoted: a reward model writes no answers.");
        await db.Models.Where(other => other.ProjectId == model.ProjectId && other.PromotedAt != null && other.Id != model.Id)
            .ExecuteUpdateAsync(set => set.SetProperty(other => other.PromotedAt, (DateTimeOffset?)null), cancellationToken);
        await db.Models.Where(other => other.Id == model.Id && other.PromotedAt == null)
            .ExecuteUpdateAsync(set => set.SetProperty(other => other.PromotedAt, DateTimeOffset.UtcNow), cancellationToken);
        db.Record(request.Actor, "model.promoted", request.Id, model.Name);
        await db.SaveChangesAsync(cancellationToken);
        return default(Done);
    }
}
