using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Datasets;

/// <summary>The bytes of one split for download, as frozen. <paramref name="Pairs"/> expands rankings to TRL's prompt/chosen/rejected, ties left out.</summary>
[Allow(Roles.Admin)]
public sealed record OpenDatasetFile(Actor Actor, Guid Id, Split Split, bool Pairs = false) : IQuery<DownloadFile>;

/// <summary>The receiver disposes the stream.</summary>
public sealed record DownloadFile(string FileName, Stream Content);
