using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.TrainingRuns;

/// <summary>Puts a failed or cancelled run back in the queue; it continues from its last checkpoint.</summary>
[Allow(Roles.Admin)]
public sealed record RetryRun(Actor Actor, Guid Id) : IRequest<Done>;
