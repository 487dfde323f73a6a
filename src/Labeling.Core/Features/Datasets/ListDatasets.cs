using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Datasets;

/// <summary>Newest first.</summary>
[Allow(Roles.Admin)]
public sealed record ListDatasets(Actor Actor, Guid ProjectId, DatasetKind? Kind = null) : IQuery<IReadOnlyList<DatasetItemView>>;

internal sealed class ListDatasetsHandler(LabelingDbContext db) : IHandler<ListDatasets, IReadOnlyList<DatasetItemView>>
{
    public async ValueTask<Result<IReadOnlyList<DatasetItemView>>> Handle(ListDatasets request, CancellationToken cancellationToken)
    {
        var datasets = db.DatasetVersions.AsNoTracking().Where(dataset => dataset.ProjectId == request.ProjectId && (request.Kind == null || dataset.Kind == request.Kind));
        return await DatasetViews.Of(db, datasets.OrderByDescending(dataset => dataset.Number)).ToListAsync(cancellationToken);
    }
}
