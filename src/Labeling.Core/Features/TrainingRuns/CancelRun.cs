using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.TrainingRuns;

/// <summary>Stops a waiting run at once and a running one after its present step, with a checkpoint.</summary>
[Allow(Roles.Admin)]
public sealed record CancelRun(Actor Actor, Guid Id) : IRequest<Done>;
