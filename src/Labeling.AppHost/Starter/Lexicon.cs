using System.Text.RegularExpressions;

namespace Labeling.AppHost.Starter;

/// <summary>The words of the starter world. Few, so that a model of a million weights can know them all.</summary>
public static partial class Lexicon
{
    public static IReadOnlyList<string> Nouns { get; } =
    [
        "apple", "ball", "bear", "bell", "bird", "boat", "bread", "candle", "cat", "chair", "cloud", "coat", "cow", "dog", "door", "drum",
        "duck", "egg", "fish", "flower", "fox", "frog", "gate", "goat", "hammer", "hat", "horse", "jar", "key", "kite", "lamp", "leaf",
        "lemon", "lion", "map", "mirror", "moon", "mouse", "nest", "onion", "owl", "pear", "pencil", "plum", "queen", "ring", "river", "rope",
        "rose", "shell", "ship", "spoon", "star", "stone", "sun", "table", "tiger", "tree", "violin", "wagon", "wheel", "window", "wolf", "zebra",
    ];

    public static IReadOnlyList<string> Colours { get; } = ["red", "blue", "green", "yellow", "black", "white", "brown", "pink"];

    public static IReadOnlyList<string> Names { get; } =
    [
        "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Iris", "Jack", "Kate", "Leo", "Mara", "Nina", "Oscar", "Paul",
    ];

    public static IReadOnlyList<string> Places { get; } = ["kitchen", "garden", "attic", "cellar", "hall", "office", "shed", "school"];

    private static readonly HashSet<string> NounSet = [.. Nouns];

    /// <summary>Words and numbers of a text in lower case, punctuation dropped.</summary>
    public static List<string> Words(string text) => [.. Word().Matches(text).Select(m => m.Value.ToLowerInvariant())];

    /// <summary>Those words of a text that the tasks are about, in their order.</summary>
    public static List<string> NounsIn(string text) => [.. Words(text).Where(NounSet.Contains)];

    [GeneratedRegex("[A-Za-z]+|[0-9]+")]
    private static partial Regex Word();
}
