using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.People;

[Allow(Roles.Admin)]
public sealed record ListPeople(Actor Actor) : IQuery<IReadOnlyList<PersonItem>>;

public sealed record PersonItem(
    Guid Id, string DisplayName, string Email, Roles Roles, DateTimeOffset CreatedAt, DateTimeOffset? DisabledAt, int Demonstrations, int Rankings);

internal sealed class ListPeopleHandler(LabelingDbContext db) : IHandler<ListPeople, IReadOnlyList<PersonItem>>
{
    public async ValueTask<Result<IReadOnlyList<PersonItem>>> Handle(ListPeople request, CancellationToken cancellationToken) =>
        await db.Users.OrderBy(u => u.DisplayName).ThenBy(u => u.Id)
            .Select(u => new PersonItem(
                u.Id, u.DisplayName, u.Email!, u.Roles, u.CreatedAt, u.DisabledAt,
                db.Completions.Count(c => c.AuthorId == u.Id && c.Source == CompletionSource.Human), db.Rankings.Count(r => r.UserId == u.Id)))
            .ToListAsync(cancellationToken);
}
