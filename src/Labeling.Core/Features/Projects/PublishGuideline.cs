using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Projects;

/// <summary>Publishes the next guideline version. <paramref name="BasedOn"/> is the number the author edited: an older one is a conflict.</summary>
[Allow(Roles.Admin)]
public sealed record PublishGuideline(Actor Actor, Guid ProjectId, int BasedOn, string Markdown) : IRequest<int>;
