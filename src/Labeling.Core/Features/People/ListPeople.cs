using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.People;

[Allow(Roles.Admin)]
public sealed record ListPeople(Actor Actor) : IQuery<IReadOnlyList<PersonItem>>;

public sealed record PersonItem(
    Guid Id, string DisplayName, string Email, Roles Roles, DateTimeOffset CreatedAt, DateTimeOffset? DisabledAt, int Demonstrations, int Rankings);
