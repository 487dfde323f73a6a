using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.ApiKeys;

/// <summary>A key acts as its person with that person's roles. The secret is in the answer only. The system may make one for a person (scripted use).</summary>
[Allow(Roles.Annotator | Roles.Ranker, system: true)]
public sealed record CreateApiKey(Actor Actor, string Name, Guid? ForPersonId = null) : IRequest<CreatedApiKey>;

public sealed record CreatedApiKey(Guid Id, string Secret);
