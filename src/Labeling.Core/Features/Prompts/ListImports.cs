using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Prompts;

[Allow(Roles.Admin)]
public sealed record ListImports(Actor Actor, Guid ProjectId) : IQuery<IReadOnlyList<ImportItem>>;

public sealed record ImportItem(Guid Id, string FileName, int Imported, int Duplicates, int Rejected, DateTimeOffset CreatedAt);
