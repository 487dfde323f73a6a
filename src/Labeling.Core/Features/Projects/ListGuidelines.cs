using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Projects;

/// <summary>Every version of the instructions, newest first.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record ListGuidelines(Actor Actor, Guid ProjectId) : IQuery<IReadOnlyList<GuidelineItem>>;

public sealed record GuidelineItem(int Number, string Markdown, string? Author, DateTimeOffset CreatedAt);

internal sealed class ListGuidelinesHandler(LabelingDbContext db) : IHandler<ListGuidelines, IReadOnlyList<GuidelineItem>>
{
    public async ValueTask<Result<IReadOnlyList<GuidelineItem>>> Handle(ListGuidelines request, CancellationToken cancellationToken)
    {
        var versions = await (
            from guideline in db.GuidelineVersions
            where guideline.ProjectId == request.ProjectId
            orderby guideline.Number descending
            select new GuidelineItem(
                guideline.Number, guideline.Markdown, db.Users.Where(u => u.Id == guideline.AuthorId).Select(u => u.DisplayName).FirstOrDefault(), guideline.CreatedAt))
            .ToListAsync(cancellationToken);
        return versions.Count == 0 ? Problem.NotFound("The project") : versions;
    }
}
