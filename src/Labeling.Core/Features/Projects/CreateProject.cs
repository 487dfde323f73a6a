using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Projects;

/// <summary>A new project with its first guideline version.</summary>
[Allow(Roles.Admin, system: true)]
public sealed record CreateProject(Actor Actor, Guid Id, string Name, string Description, string GuidelineMarkdown, ProjectRules Rules) : IRequest<Guid>;

/// <summary>How labels are collected. See <see cref="Project"/> for each field.</summary>
public sealed record ProjectRules(int DemonstrationOverlap = 1, int RankingOverlap = 1, int AnswersPerPrompt = 4, int LeaseMinutes = 30);
