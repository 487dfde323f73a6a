using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Projects;

[Allow(Roles.Annotator | Roles.Ranker, system: true)]
public sealed record ListProjects(Actor Actor) : IQuery<IReadOnlyList<ProjectItem>>;

public sealed record ProjectItem(Guid Id, string Name, string Description, DateTimeOffset CreatedAt);
