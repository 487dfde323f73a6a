using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Datasets;

/// <summary>How many rows a selection would freeze now, per split, before anybody freezes it.</summary>
[Allow(Roles.Admin)]
public sealed record CountDataset(Actor Actor, Guid ProjectId, DatasetKind Kind, DatasetFilter Filter) : IQuery<DatasetCount>;

public sealed record DatasetCount(int Train, int Valid, int Test, int Labelers);

internal sealed class CountDatasetHandler(LabelingDbContext db) : IHandler<CountDataset, DatasetCount>
{
    public async ValueTask<Result<DatasetCount>> Handle(CountDataset request, CancellationToken cancellationToken)
    {
        if (DatasetSelection.Check(request.Kind, request.Filter) is { } wrong) return wrong;
        var labels = new DatasetSelection(db, request.ProjectId, request.Filter).Labels(request.Kind);
        var rows = await labels.GroupBy(label => label.Split).Select(split => new { split.Key, Count = split.Count() })
            .ToDictionaryAsync(split => split.Key, split => split.Count, cancellationToken);
        var labelers = await labels.Where(label => label.LabelerId != null).Select(label => label.LabelerId).Distinct().CountAsync(cancellationToken);
        return new DatasetCount(rows.GetValueOrDefault(Split.Train), rows.GetValueOrDefault(Split.Valid), rows.GetValueOrDefault(Split.Test), labelers);
    }
}
