using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Models;

/// <summary>Marks the policy the project samples from by default. One per project.</summary>
[Allow(Roles.Admin)]
public sealed record PromoteModel(Actor Actor, Guid Id) : IRequest<Done>;
