using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Projects;

/// <summary>Publishes the next guideline version. <paramref name="BasedOn"/> is the number the author edited: an older one is a conflict.</summary>
[Allow(Roles.Admin)]
public sealed record PublishGuideline(Actor Actor, Guid ProjectId, int BasedOn, string Markdown) : IRequest<int>;

internal sealed class PublishGuidelineValidator : AbstractValidator<PublishGuideline>
{
    public PublishGuidelineValidator() => RuleFor(r => r.BasedOn).GreaterThanOrEqualTo(1);
}

internal sealed class PublishGuidelineHandler(LabelingDbContext db) : IHandler<PublishGuideline, int>
{
    public async ValueTask<Result<int>> Handle(PublishGuideline request, CancellationToken cancellationToken)
    {
        // One publication of a project at a time; labels may go on being written meanwhile.
        var projects = await db.Database.SqlQuery<Guid>($"select id from projects where id = {request.ProjectId} for no key update").ToListAsync(cancellationToken);
        if (projects.Count == 0) return Problem.NotFound("The project");
        var latest = await db.GuidelineVersions.AsNoTracking().Where(g => g.ProjectId == request.ProjectId).OrderByDescending(g => g.Number).FirstAsync(cancellationToken);
        if (latest.Number == request.BasedOn + 1 && latest.AuthorId == request.Actor.UserId && latest.Markdown == request.Markdown) return latest.Number;
        if (latest.Number != request.BasedOn)
        {
            return Problem.Conflict($"Version {latest.Number} was published while you were editing version {request.BasedOn}. Look at it, then publish your changes on top of it.");
        }

        db.GuidelineVersions.Add(new GuidelineVersion
        {
            Id = Guid.CreateVersion7(),
            ProjectId = request.ProjectId,
            Number = latest.Number + 1,
            Markdown = request.Markdown,
            AuthorId = request.Actor.UserId,
        });
        db.Record(request.Actor, "guideline.published", request.ProjectId, $"version {latest.Number + 1}");
        await db.SaveChangesAsync(cancellationToken);
        return latest.Number + 1;
    }
}
