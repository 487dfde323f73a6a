using System.Text.RegularExpressions;

namespace Labeling.AppHost.Starter;

/// <summary>The words of the starter world. Few, so that a model of a million weights can know them all.</summary>
public static partial class Lexicon
{
    public static IReadOnlyList<string> Nouns { get; } =
    [
        "apple", "ball", "bird", "boat", "bread", "cat", "chair", "coat", "dog", "door", "drum", "egg",
        "fish", "fox", "hat", "horse", "key", "lamp", "moon", "owl", "ring", "ship", "star", "tree",
    ];

    public static IReadOnlyList<string> Colours { get; } = ["red", "blue", "green", "yellow", "black", "white"];

    public static IReadOnlyList<string> Names { get; } = ["Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Mara", "Paul"];

    public static IReadOnlyList<string> Places { get; } = ["kitchen", "garden", "cellar", "hall", "office", "school"];

    private static readonly HashSet<string> NounSet = [.. Nouns];

    /// <summary>Words and numbers of a text in lower case, punctuation dropped.</summary>
    public static List<string> Words(string text) => [.. Word().Matches(text).Select(m => m.Value.ToLowerInvariant())];

    /// <summary>Those words of a text that the tasks are about, in their order.</summary>
    public static List<string> NounsIn(string text) => [.. Words(text).Where(NounSet.Contains)];

    [GeneratedRegex("[A-Za-z]+|[0-9]+")]
    private static partial Regex Word();
}
