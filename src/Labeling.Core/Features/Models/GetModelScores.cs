using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Models;

/// <summary>A reward model's scores of the answers it was trained and validated on, with the ranks people gave, paged by key.</summary>
[Allow(Roles.Admin)]
public sealed record GetModelScores(Actor Actor, Guid ModelId, Split? Split = null, string? After = null, int Size = 500) : IQuery<Page<ScoredAnswer>>;

public sealed record ScoredAnswer(Guid CompletionId, Guid PromptId, Split Split, double Score, string Text);
