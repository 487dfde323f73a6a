using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Prompts;

/// <summary>Newest first, paged by key.</summary>
[Allow(Roles.Admin)]
public sealed record ListPrompts(Actor Actor, Guid ProjectId, string? Search = null, string? Category = null, string? After = null, int Size = 50)
    : IQuery<Page<PromptItem>>;

public sealed record PromptItem(
    Guid Id, string Preview, int Turns, string? Category, Split Split, PromptSource Source, int Demonstrations, int ModelAnswers, int Rankings, DateTimeOffset CreatedAt);
