using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Prompts;

/// <summary>Asks people for demonstrations of prompts that have no demonstration task yet. Answers how many tasks were made.</summary>
[Allow(Roles.Admin, system: true)]
public sealed record CreateDemonstrationTasks(Actor Actor, Guid ProjectId, string? Category = null, int? Limit = null) : IRequest<int>;

internal sealed class CreateDemonstrationTasksValidator : AbstractValidator<CreateDemonstrationTasks>
{
    public CreateDemonstrationTasksValidator() => RuleFor(r => r.Limit).GreaterThanOrEqualTo(1);
}

internal sealed class CreateDemonstrationTasksHandler(LabelingDbContext db) : IHandler<CreateDemonstrationTasks, int>
{
    public async ValueTask<Result<int>> Handle(CreateDemonstrationTasks request, CancellationToken cancellationToken)
    {
        if (!await db.Projects.AnyAsync(p => p.Id == request.ProjectId, cancellationToken)) return Problem.NotFound("The project");
        return await db.AskForDemonstrationsAsync(request.ProjectId, null, request.Category, request.Limit, cancellationToken);
    }
}

internal static class DemonstrationTasks
{
    /// <summary>One task per prompt that has none, in the order the prompts came: a microsecond apart, so that they are handed out in that order.</summary>
    public static Task<int> AskForDemonstrationsAsync(
        this LabelingDbContext db, Guid projectId, Guid? importId, string? category, int? limit, CancellationToken cancellation) => db.Database.ExecuteSqlAsync(
        $"""
        insert into tasks (id, project_id, prompt_id, kind, state, overlap, taken, finished, priority, created_at)
        select gen_random_uuid(), {projectId}, wanted.id, 'demonstration', 'open', wanted.overlap, 0, 0, 0, now() + wanted.place * interval '1 microsecond'
        from (
            select p.id, j.demonstration_overlap as overlap, row_number() over (order by p.created_at, p.id) as place from prompts p join projects j on j.id = p.project_id
            where p.project_id = {projectId} and ({importId}::uuid is null or p.import_id = {importId}) and ({category}::text is null or p.category = {category})
                and not exists (select from tasks t where t.prompt_id = p.id and t.kind = 'demonstration' and t.state <> 'cancelled')
            order by place limit {limit}) wanted
        on conflict do nothing
        """, cancellation);
}
