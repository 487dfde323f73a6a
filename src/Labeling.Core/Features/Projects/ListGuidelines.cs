using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Projects;

[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record ListGuidelines(Actor Actor, Guid ProjectId) : IQuery<IReadOnlyList<GuidelineItem>>;

public sealed record GuidelineItem(int Number, string Markdown, string? Author, DateTimeOffset CreatedAt);
