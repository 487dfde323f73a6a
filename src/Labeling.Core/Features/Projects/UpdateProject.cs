using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Projects;

[Allow(Roles.Admin)]
public sealed record UpdateProject(Actor Actor, Guid Id, string Name, string Description, ProjectRules Rules) : IRequest<Done>;
