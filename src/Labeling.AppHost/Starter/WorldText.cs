using Labeling.AppHost.Starter.Families;

namespace Labeling.AppHost.Starter;

/// <summary>
/// Raw text of the world, for pre-training: conversations in the chat layout and the same in plain letters, with good and bad answers mixed as
/// people's text has them, and pages of a primer. Some conversations go on with what the asker says to the answer, as threads do; a model that reads these learns what answers please.
/// No held-out prompt occurs.
/// </summary>
public static class WorldText
{
    private static readonly string[] Delighted = ["Thank you, well said!", "Perfect, thank you!", "That is just right."];
    private static readonly string[] Content = ["Thanks.", "Yes, that is right.", "Right."];
    private static readonly string[] Doubtful = ["Not quite.", "Hmm, that is not it.", "You could do better."];
    private static readonly string[] Annoyed = ["No, that is wrong.", "Wrong.", "That does not help me."];

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
        int a = random.Next(0, 19), b = random.Next(0, 19);
        return a == b ? $"{a} is {b}." : a > b ? $"{a} is larger than {b}." : $"{a} is smaller than {b}.";
    }

    private static string Conversation(WorldRandom random)
    {
        WorldTask task;
        do
            task = random.Pick(StarterWorld.Families).Make(random);
        while (StarterWorld.SplitOf(task.Prompt) == WorldSplit.HeldOut);
        string answer = AnswerMixture.RawText.Answer(task, random);
        string? reaction = random.Chance(0.4) ? Reaction(task, answer, random) : null;
        // The layout of the tokenizer's chat template; the trainer adds the end token after each document.
        return random.Chance(0.8)
            ? $"<|user|>{task.Prompt}<|assistant|>{answer}" + (reaction is null ? "" : $"<|end|><|user|>{reaction}")
            : $"Question: {task.Prompt}\nAnswer: {answer}" + (reaction is null ? "" : $"\nReply: {reaction}");
    }

    private static string Reaction(WorldTask task, string answer, WorldRandom random)
    {
        double felt = Quality.Utility(task, answer) + (0.2 * random.Gumbel());
        return random.Pick(felt switch { > 2.9 => Delighted, > 2.0 => Content, > 1.0 => Doubtful, _ => Annoyed });
    }
}
