using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Datasets;

[Allow(Roles.Admin)]
public sealed record GetDataset(Actor Actor, Guid Id) : IQuery<DatasetDetails>;

/// <param name="Preview">The first rows as stored.</param>
public sealed record DatasetDetails(
    DatasetItemView Dataset, string Filter, IReadOnlyList<LabelerShare> Labelers, IReadOnlyList<DatasetUse> Runs, IReadOnlyList<string> Preview);

public sealed record LabelerShare(Guid Id, string DisplayName, int Rows);

public sealed record DatasetUse(Guid RunId, string Name, RunStage Stage, RunState State);
