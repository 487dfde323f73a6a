using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Projects;

/// <summary>The project's page for an admin: rules, guideline and how far each kind of work is.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record GetProject(Actor Actor, Guid Id) : IQuery<ProjectDetails>;

public sealed record ProjectDetails(
    Guid Id, string Name, string Description, ProjectRules Rules, int GuidelineNumber, string GuidelineMarkdown,
    ProjectCounts Counts, DateTimeOffset CreatedAt);

public sealed record ProjectCounts(
    int Prompts, int OpenDemonstrationTasks, int Demonstrations, int OpenRankingTasks, int Rankings, int Datasets, int Runs, int Models);

internal sealed class GetProjectHandler(LabelingDbContext db) : IHandler<GetProject, ProjectDetails>
{
    public async ValueTask<Result<ProjectDetails>> Handle(GetProject request, CancellationToken cancellationToken)
    {
        var project = await db.Projects.AsNoTracking().SingleOrDefaultAsync(p => p.Id == request.Id, cancellationToken);
        if (project is null) return Problem.NotFound("The project");
        var guideline = await db.GuidelineVersions.Where(g => g.ProjectId == request.Id).OrderByDescending(g => g.Number)
            .Select(g => new { g.Number, g.Markdown }).FirstAsync(cancellationToken);
        var counts = await db.Projects.Where(p => p.Id == request.Id).Select(p => new ProjectCounts(
            db.Prompts.Count(x => x.ProjectId == p.Id),
            db.Tasks.Count(x => x.ProjectId == p.Id && x.Kind == TaskKind.Demonstration && x.State == TaskState.Open),
            db.Completions.Count(x => x.Prompt!.ProjectId == p.Id && x.Source == CompletionSource.Human),
            db.Tasks.Count(x => x.ProjectId == p.Id && x.Kind == TaskKind.Ranking && x.State == TaskState.Open),
            db.Rankings.Count(x => x.Task!.ProjectId == p.Id),
            db.DatasetVersions.Count(x => x.ProjectId == p.Id),
            db.TrainingRuns.Count(x => x.ProjectId == p.Id),
            db.Models.Count(x => x.ProjectId == p.Id))).SingleAsync(cancellationToken);
        var rules = new ProjectRules(project.DemonstrationOverlap, project.RankingOverlap, project.AnswersPerPrompt, project.LeaseMinutes);
        return new ProjectDetails(project.Id, project.Name, project.Description, rules, guideline.Number, guideline.Markdown, counts, project.CreatedAt);
    }
}
