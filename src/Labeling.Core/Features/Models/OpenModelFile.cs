using Labeling.Core.Features.Datasets;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Models;

[Allow(Roles.Admin)]
public sealed record OpenModelFile(Actor Actor, Guid Id, string Path) : IQuery<DownloadFile>;
