using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.People;

/// <summary>Who the actor is at this moment; what a circuit or cookie is checked against.</summary>
[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record GetMe(Actor Actor) : IQuery<Me>;

public sealed record Me(Guid Id, string DisplayName, string Email, Roles Roles);

internal sealed class GetMeHandler(LabelingDbContext db) : IHandler<GetMe, Me>
{
    public async ValueTask<Result<Me>> Handle(GetMe request, CancellationToken cancellationToken)
    {
        var me = await db.Users.Where(u => u.Id == request.Actor.UserId).Select(u => new Me(u.Id, u.DisplayName, u.Email!, u.Roles)).SingleOrDefaultAsync(cancellationToken);
        return me is null ? Problem.NotFound("The person") : me;
    }
}
