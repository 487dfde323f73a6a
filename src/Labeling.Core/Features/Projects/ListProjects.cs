using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Projects;

[Allow(Roles.Annotator | Roles.Ranker, system: true)]
public sealed record ListProjects(Actor Actor) : IQuery<IReadOnlyList<ProjectItem>>;

public sealed record ProjectItem(Guid Id, string Name, string Description, DateTimeOffset CreatedAt);

internal sealed class ListProjectsHandler(LabelingDbContext db) : IHandler<ListProjects, IReadOnlyList<ProjectItem>>
{
    public async ValueTask<Result<IReadOnlyList<ProjectItem>>> Handle(ListProjects request, CancellationToken cancellationToken) =>
        await db.Projects.Where(p => p.ArchivedAt == null).OrderBy(p => p.Name).ThenBy(p => p.Id)
            .Select(p => new ProjectItem(p.Id, p.Name, p.Description, p.CreatedAt)).ToListAsync(cancellationToken);
}
