using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Prompts;

/// <summary>Asks people for demonstrations of prompts that have no demonstration task yet. Answers how many tasks were made.</summary>
[Allow(Roles.Admin, system: true)]
public sealed record CreateDemonstrationTasks(Actor Actor, Guid ProjectId, string? Category = null, int? Limit = null) : IRequest<int>;
