using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Prompts;

/// <summary>The newest 500 imports of a project.</summary>
[Allow(Roles.Admin)]
public sealed record ListImports(Actor Actor, Guid ProjectId) : IQuery<IReadOnlyList<ImportItem>>;

public sealed record ImportItem(Guid Id, string FileName, int Imported, int Duplicates, int Rejected, DateTimeOffset CreatedAt);

internal sealed class ListImportsHandler(LabelingDbContext db) : IHandler<ListImports, IReadOnlyList<ImportItem>>
{
    public async ValueTask<Result<IReadOnlyList<ImportItem>>> Handle(ListImports request, CancellationToken cancellationToken) =>
        await db.PromptImports.Where(i => i.ProjectId == request.ProjectId).OrderByDescending(i => i.CreatedAt).Take(500)
            .Select(i => new ImportItem(i.Id, i.FileName, i.Imported, i.Duplicates, i.Rejected, i.CreatedAt)).ToListAsync(cancellationToken);
}
