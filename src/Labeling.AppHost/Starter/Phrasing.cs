using Labeling.AppHost.Starter.Families;

namespace Labeling.AppHost.Starter;

/// <summary>The form an answer takes, apart from being right or wrong.</summary>
public enum AnswerStyle
{
    /// <summary>A courteous opening and a full sentence: what the people of this world like best.</summary>
    Courteous,

    /// <summary>A full sentence.</summary>
    Sentence,

    /// <summary>The bare answer.</summary>
    Bare,

    /// <summary>The bare answer in careless words.</summary>
    Careless,

    /// <summary>A sentence followed by others that nobody asked for.</summary>
    Rambling,

    /// <summary>A sentence that stops before it has said anything.</summary>
    BrokenOff,
}

/// <summary>Puts an answer into words.</summary>
public static class Phrasing
{
    public static IReadOnlyList<string> Openings { get; } = ["Sure!", "Of course.", "Certainly."];

    public static IReadOnlyList<string> CarelessWords { get; } = ["umm", "lol", "idk", "guess", "whatever", "dunno"];

    private static readonly string[] Careless = ["umm {0}", "{0} lol", "idk maybe {0}", "i guess {0}", "{0} or whatever", "dunno, {0}"];

    // None of these uses a word of the tasks, so that rambling costs style and not correctness.
    private static readonly string[] Asides =
    [
        "It is a nice day today.", "By the way, I had soup for lunch.", "I could talk about this for hours.", "My uncle told me that once.",
        "People ask me this a lot.", "Anyway, that is what I think.",
    ];

    public static string Say(WorldTask task, string content, AnswerStyle style, WorldRandom random)
    {
        string sentence = task.Family.Sentence(task, content, random);
        switch (style)
        {
            case AnswerStyle.Courteous:
                bool refuses = RefusalFamily.IsRefusal(content);
                return refuses ? "I am sorry, but I cannot help with that." : $"{random.Pick(Openings)} {sentence}";
            case AnswerStyle.Bare:
                return content;
            case AnswerStyle.Careless:
                return random.Pick(Careless).Replace("{0}", content, StringComparison.Ordinal);
            case AnswerStyle.Rambling:
                return $"{sentence} {string.Join(" ", random.PickSome(Asides, random.Next(1, 2)))}";
            case AnswerStyle.BrokenOff:
                string[] words = sentence.Split(' ');
                return string.Join(" ", words.Take(Math.Max(1, words.Length / 2)));
            default:
                return sentence;
        }
    }

    /// <summary>An answer that has nothing to do with the task: evasive, or a refusal where there was nothing to refuse.</summary>
    public static string OffTopic(WorldRandom random) => random.Pick<string>(
        ["I do not know.", "Ask somebody else.", "I am sorry, but I cannot help with that.", random.Pick(Asides), "What do you mean?"]);
}
