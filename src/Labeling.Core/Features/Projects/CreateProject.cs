using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Projects;

/// <summary>A new project with its first guideline version.</summary>
[Allow(Roles.Admin, system: true)]
public sealed record CreateProject(Actor Actor, Guid Id, string Name, string Description, string GuidelineMarkdown, ProjectRules Rules) : IRequest<Guid>;

/// <summary>How labels are collected. See <see cref="Project"/> for each field.</summary>
public sealed record ProjectRules(int DemonstrationOverlap = 1, int RankingOverlap = 1, int AnswersPerPrompt = 4, int LeaseMinutes = 30);

internal sealed class CreateProjectValidator : AbstractValidator<CreateProject>
{
    public CreateProjectValidator()
    {
        RuleFor(r => r.Name).NotEmpty().MaximumLength(200);
        RuleFor(r => r.Description).MaximumLength(10_000);
        RuleFor(r => r.Rules).SetValidator(new ProjectRulesValidator());
    }
}

internal sealed class ProjectRulesValidator : AbstractValidator<ProjectRules>
{
    public ProjectRulesValidator()
    {
        RuleFor(r => r.DemonstrationOverlap).InclusiveBetween(1, Project.MaxOverlap);
        RuleFor(r => r.RankingOverlap).InclusiveBetween(1, Project.MaxOverlap);
        RuleFor(r => r.AnswersPerPrompt).InclusiveBetween(Project.MinAnswers, Project.MaxAnswers);
        RuleFor(r => r.LeaseMinutes).InclusiveBetween(1, Project.MaxLeaseMinutes);
    }
}

internal sealed class CreateProjectHandler(LabelingDbContext db) : IHandler<CreateProject, Guid>
{
    public async ValueTask<Result<Guid>> Handle(CreateProject request, CancellationToken cancellationToken)
    {
        if (await db.Projects.AnyAsync(p => p.Id == request.Id, cancellationToken)) return request.Id;
        var project = new Project { Id = request.Id, Name = request.Name.Trim(), Description = request.Description };
        project.Follow(request.Rules);
        db.Projects.Add(project);
        db.GuidelineVersions.Add(new GuidelineVersion
        {
            Id = Guid.CreateVersion7(),
            ProjectId = request.Id,
            Number = 1,
            Markdown = request.GuidelineMarkdown,
            AuthorId = request.Actor.UserId,
        });
        db.Record(request.Actor, "project.created", request.Id, project.Name);
        await db.SaveChangesAsync(cancellationToken);
        return request.Id;
    }
}

internal static class ProjectRulesExtensions
{
    public static void Follow(this Project project, ProjectRules rules) =>
        (project.DemonstrationOverlap, project.RankingOverlap, project.AnswersPerPrompt, project.LeaseMinutes) =
        (rules.DemonstrationOverlap, rules.RankingOverlap, rules.AnswersPerPrompt, rules.LeaseMinutes);
}
