using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Models;

/// <summary>The single labels a model's own dataset was made of, paged.</summary>
[Allow(Roles.Admin)]
public sealed record GetModelLabels(Actor Actor, Guid ModelId, string? After = null, int Size = 50) : IQuery<Page<ModelLabel>>;

public sealed record ModelLabel(Guid Id, DatasetKind Kind, Guid PromptId, string PromptPreview, string Label, string? Labeler, Split Split);
