using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Datasets;

[Allow(Roles.Admin)]
public sealed record ListDatasets(Actor Actor, Guid ProjectId, DatasetKind? Kind = null) : IQuery<IReadOnlyList<DatasetItemView>>;
