namespace Labeling.Core.Features;

/// <summary>One page of a list sorted in the database. <paramref name="Next"/> is the key to ask for the following page, null at the end.</summary>
public sealed record Page<T>(IReadOnlyList<T> Items, string? Next);
