using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Models;

[Allow(Roles.Admin)]
public sealed record ListModels(Actor Actor, Guid ProjectId) : IQuery<IReadOnlyList<ModelItem>>;

public sealed record ModelItem(
    Guid Id, string Name, ModelKind Kind, RunStage? Stage, Guid? RunId, Guid? ParentId, string? Parent, long Bytes, DateTimeOffset CreatedAt, DateTimeOffset? PromotedAt,
    IReadOnlyDictionary<string, double> Metrics);
