using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.ApiKeys;

[Allow(Roles.Annotator | Roles.Ranker)]
public sealed record RevokeApiKey(Actor Actor, Guid Id) : IRequest<Done>;
