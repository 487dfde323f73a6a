using Labeling.AppHost.Starter.Families;

namespace Labeling.AppHost.Starter;

/// <summary>
/// Raw text of the world, for pre-training: conversations in the chat layout and the same in plain letters, with good and bad answers mixed as
/// people's text has them, and pages of a primer. Many conversations carry a reader's mark or go on with what
/// the asker says to the answer, as threads and rated logs do; a model that reads these learns what answers please.
/// No held-out prompt occurs.
/// </summary>
public static class WorldText
{
    private static readonly string[] Marks = ["bad", "poor", "fair", "good", "great"];

    private static readonly string[][] Replies =
    [
        ["No, that is wrong.", "Wrong.", "That does not help me."], ["Not quite.", "Hmm, that is not it."], ["Well, thanks.", "All right."], ["Thanks.", "Yes, that is right."],
        ["Thank you, well said!", "Perfect, thank you!"],
    ];

    /// <summary>Raw text without end; the caller takes as many documents as it needs.</summary>
    public static IEnumerable<string> Documents(int seed) => Draw(WorldRandom.For(seed, "raw text"), random => random.Chance(0.8) ? Conversation(random) : PrimerPage(random));

    /// <summary>A child's primer without end: what a model reads first, because it holds little else than what can be known from the page itself.</summary>
    public static IEnumerable<string> Primer(int seed) => Draw(WorldRandom.For(seed, "primer"), PrimerPage);

    private static IEnumerable<string> Draw(WorldRandom random, Func<WorldRandom, string> document)
    {
        while (true)
            yield return document(random);
    }

    private static string PrimerPage(WorldRandom random) => random.Next(0, 9) switch
    {
        <= 5 => ExerciseSheet(random),
        <= 7 => Notes(random),
        8 => string.Join(' ', Enumerable.Range(0, 5).Select(_ => Sum(random))),
        _ => string.Join(' ', Enumerable.Range(0, 6).Select(_ => WordPair(random))),
    };

    /// <summary>A list and what a pupil wrote about it.</summary>
    private static string ExerciseSheet(WorldRandom random)
    {
        List<string> words = random.PickSome(Lexicon.Nouns, random.Next(2, 5));
        string list = string.Join(' ', words);
        List<string> lines =
        [
            $"Again: {list}", $"Again: {list}", $"Backwards: {string.Join(' ', words.AsEnumerable().Reverse())}", $"Sorted: {string.Join(' ', words.Order(StringComparer.Ordinal))}",
            $"First: {words[0]}", $"Last: {words[^1]}", $"Count: {words.Count}", $"Capitals: {list.ToUpperInvariant()}",
        ];
        random.Shuffle(lines);
        return $"List: {list}\n{string.Join('\n', lines.Take(6))}";
    }

    /// <summary>Who has what and where things are, said again in another order.</summary>
    private static string Notes(WorldRandom random)
    {
        List<string> names = random.PickSome(Lexicon.Names, 2);
        List<string> colours = random.PickSome(Lexicon.Colours, 2);
        List<string> nouns = random.PickSome(Lexicon.Nouns, 4);
        List<string> places = random.PickSome(Lexicon.Places, 2);
        List<string> facts = random.PickSome(
        [
            $"{names[0]} has a {colours[0]} {nouns[0]}.", $"{names[1]} has a {colours[1]} {nouns[1]}.", $"The {nouns[2]} is in the {places[0]}.", $"The {nouns[3]} is in the {places[1]}.",
        ], 3);
        List<string> text = [.. facts];
        for (int again = 0; again < 2; again++)
        {
            random.Shuffle(facts);
            text.AddRange(facts);
        }
        return string.Join(' ', text);
    }

    private static string Sum(WorldRandom random)
    {
        int a = random.Next(0, 9), b = random.Next(0, 9);
        return random.Chance(0.6) ? $"{a} plus {b} is {a + b}." : $"{a + b} minus {b} is {a}.";
    }

    private static string WordPair(WorldRandom random)
    {
        if (random.Chance(0.5))
        {
            (string word, string opposite) = random.Pick(OppositeFamily.Pairs);
            return random.Chance(0.5) ? $"Not {word} is {opposite}." : $"Not {opposite} is {word}.";
        }
        int a = random.Next(0, 12), b = random.Next(0, 12);
        return a == b ? $"{a} is {b}." : a > b ? $"{a} is larger than {b}." : $"{a} is smaller than {b}.";
    }

    private static string Conversation(WorldRandom random)
    {
        WorldTask task;
        do
            task = random.Pick(StarterWorld.Families).Make(random);
        while (StarterWorld.SplitOf(task.Prompt) == WorldSplit.HeldOut);
        string answer = AnswerMixture.RawText.Answer(task, random);
        int mark = Mark(task, answer, random);
        string reply = random.Chance(0.2) ? random.Pick(Replies[mark]) : "";
        bool marked = random.Chance(0.7);
        // The layout of the tokenizer's chat template; the trainer adds the end token after each document.
        if (random.Chance(0.8))
            return $"<|user|>{task.Prompt}<|assistant|>{answer}"
                + (marked || reply.Length > 0 ? "<|end|>" : "") + (marked ? Marks[mark] : "") + (reply.Length > 0 ? $"<|user|>{reply}" : "");
        return $"Question: {task.Prompt}\nAnswer: {answer}" + (marked ? $"\nReaders: {Marks[mark]}" : "") + (reply.Length > 0 ? $"\nReply: {reply}" : "");
    }

    /// <summary>What readers thought of an answer, from 0 to 4.</summary>
    private static int Mark(WorldTask task, string answer, WorldRandom random)
    {
        double felt = Quality.Utility(task, answer) + (0.15 * random.Gumbel());
        return felt switch { > 3.0 => 4, > 2.4 => 3, > 1.7 => 2, > 0.9 => 1, _ => 0 };
    }
}
