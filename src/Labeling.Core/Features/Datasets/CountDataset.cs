using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Datasets;

/// <summary>How many rows a selection would freeze now, per split, before anybody freezes it.</summary>
[Allow(Roles.Admin)]
public sealed record CountDataset(Actor Actor, Guid ProjectId, DatasetKind Kind, DatasetFilter Filter) : IQuery<DatasetCount>;

public sealed record DatasetCount(int Train, int Valid, int Test, int Labelers);
