using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Projects;

/// <summary>The project's page for an admin: rules, guideline and how far each kind of work is.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record GetProject(Actor Actor, Guid Id) : IQuery<ProjectDetails>;

public sealed record ProjectDetails(
    Guid Id, string Name, string Description, ProjectRules Rules, int GuidelineNumber, string GuidelineMarkdown,
    ProjectCounts Counts, DateTimeOffset CreatedAt);

public sealed record ProjectCounts(
    int Prompts, int OpenDemonstrationTasks, int Demonstrations, int OpenRankingTasks, int Rankings, int Datasets, int Runs, int Models);
