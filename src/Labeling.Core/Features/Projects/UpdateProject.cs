using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Projects;

/// <summary>Changes the project and its rules. Tasks made before keep the overlap they were made with.</summary>
[Allow(Roles.Admin)]
public sealed record UpdateProject(Actor Actor, Guid Id, string Name, string Description, ProjectRules Rules) : IRequest<Done>;

internal sealed class UpdateProjectValidator : AbstractValidator<UpdateProject>
{
    public UpdateProjectValidator()
    {
        RuleFor(r => r.Name).NotEmpty().MaximumLength(200);
        RuleFor(r => r.Description).MaximumLength(10_000);
        RuleFor(r => r.Rules).SetValidator(new ProjectRulesValidator());
    }
}

internal sealed class UpdateProjectHandler(LabelingDbContext db) : IHandler<UpdateProject, Done>
{
    public async ValueTask<Result<Done>> Handle(UpdateProject request, CancellationToken cancellationToken)
    {
        var project = await db.Projects.SingleOrDefaultAsync(p => p.Id == request.Id, cancellationToken);
        if (project is null) return Problem.NotFound("The project");
        project.Name = request.Name.Trim();
        project.Description = request.Description;
        project.Follow(request.Rules);
        db.Record(request.Actor, "project.updated", request.Id, project.Name);
        await db.SaveChangesAsync(cancellationToken);
        return new Done();
    }
}
