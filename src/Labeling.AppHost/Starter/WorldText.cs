using Labeling.AppHost.Starter.Families;

namespace Labeling.AppHost.Starter;

/// <summary>
/// Raw text of the world, for pre-training: conversations in the chat layout and the same in plain letters, with good and bad answers mixed as
/// people's text has them, pages of a primer, and exercise sheets with a teacher's marks. Under many answers stands what a reader thought, or the
/// asker says something to it, as in threads and rated logs; a model that reads these learns what is right and what pleases.
/// No held-out prompt occurs.
/// </summary>
public static class WorldText
{
    private static readonly string[][] Replies =
    [
        ["No, that is wrong.", "Wrong.", "That does not help me."], ["Not quite.", "Hmm, that is not it."], ["Well, thanks.", "All right."], ["Thanks.", "Yes, that is right."],
        ["Thank you, well said!", "Perfect, thank you!"],
    ];

    /// <summary>Raw text without end; the caller takes as many documents as it needs.</summary>
    public static IEnumerable<string> Documents(int seed) => Draw(WorldRandom.For(seed, "raw text"), random => random.Next(0, 19) switch
    {
        < 12 => Conversation(random),
        < 17 => MarkedSheet(random),
        _ => PrimerPage(random),
    });

    /// <summary>A child's primer without end: what a model reads first, because it holds little else than what can be known from the page itself.</summary>
    public static IEnumerable<string> Primer(int seed) => Draw(WorldRandom.For(seed, "primer"), PrimerPage);

    private static IEnumerable<string> Draw(WorldRandom random, Func<WorldRandom, string> document)
    {
        while (true)
            yield return document(random);
    }

    private static string PrimerPage(WorldRandom random) => random.Next(0, 9) switch
    {
        <= 3 => ExerciseSheet(random),
        <= 5 => Notes(random),
        <= 7 => string.Join(' ', Enumerable.Range(0, 5).Select(_ => Sum(random, right: true))),
        _ => string.Join(' ', Enumerable.Range(0, 6).Select(_ => WordPair(random, right: true))),
    };

    /// <summary>A list and what a pupil wrote about it.</summary>
    private static string ExerciseSheet(WorldRandom random)
    {
        List<string> words = random.PickSome(Lexicon.Nouns, random.Next(2, 4));
        List<string> lines = Lines(words);
        lines.Add(lines[0]);
        random.Shuffle(lines);
        return $"List: {string.Join(' ', words)}\n{string.Join('\n', lines.Take(6))}";
    }

    /// <summary>A page with mistakes in it and the teacher's mark after each line.</summary>
    private static string MarkedSheet(WorldRandom random)
    {
        int kind = random.Next(0, 9);
        if (kind <= 5)
        {
            List<string> words = random.PickSome(Lexicon.Nouns, random.Next(2, 4));
            List<string> right = Lines(words);
            List<string> lines = [.. right];
            random.Shuffle(lines);
            return $"List: {string.Join(' ', words)}\n{string.Join('\n', lines.Take(5).Select(line => random.Chance(0.55) ? Marked(line, true) : Mistaken(line)))}";

            string Mistaken(string line)
            {
                string subject = line[..line.IndexOf(':')];
                if (subject == "Count")
                    return Marked($"Count: {random.Pick([.. Enumerable.Range(1, 5).Where(n => n != words.Count)])}", false);
                List<string> confused = [.. words];
                if (random.Chance(0.5))
                    confused[random.Next(0, words.Count - 1)] = random.Pick([.. Lexicon.Nouns.Except(words)]);
                else
                    random.Shuffle(confused);
                string wrong = Lines(confused).First(l => l.StartsWith(subject, StringComparison.Ordinal));
                return Marked(wrong, right.Contains(wrong));
            }
        }
        if (kind <= 7)
        {
            List<string> names = random.PickSome(Lexicon.Names, 2), colours = random.PickSome(Lexicon.Colours, 2), nouns = random.PickSome(Lexicon.Nouns, 2), places = random.PickSome(Lexicon.Places, 2);
            (string[] facts, string[] swapped) = random.Chance(0.5)
                ? ((string[])[$"{names[0]} likes {colours[0]}.", $"{names[1]} likes {colours[1]}."], (string[])[$"{names[0]} likes {colours[1]}.", $"{names[1]} likes {colours[0]}."])
                : ([$"The {nouns[0]} is in the {places[0]}.", $"The {nouns[1]} is in the {places[1]}."], [$"The {nouns[0]} is in the {places[1]}.", $"The {nouns[1]} is in the {places[0]}."]);
            return $"{string.Join(' ', facts)}\n{string.Join('\n', Enumerable.Range(0, 4).Select(_ => random.Chance(0.5) ? Marked(random.Pick(facts), true) : Marked(random.Pick(swapped), false)))}";
        }
        return string.Join('\n', Enumerable.Range(0, 5).Select(_ =>
        {
            bool right = random.Chance(0.55);
            return Marked(kind == 8 ? Sum(random, right) : WordPair(random, right), right);
        }));
    }

    private static string Marked(string line, bool right) => $"{line} {(right ? "right" : "wrong")}";

    private static List<string> Lines(List<string> words) =>
    [
        $"Again: {string.Join(' ', words)}", $"Backwards: {string.Join(' ', words.AsEnumerable().Reverse())}", $"Sorted: {string.Join(' ', words.Order(StringComparer.Ordinal))}",
        $"First: {words[0]}", $"Last: {words[^1]}", $"Count: {words.Count}", $"Capitals: {string.Join(' ', words).ToUpperInvariant()}",
    ];

    /// <summary>Who has what and where things are, said again in another order.</summary>
    private static string Notes(WorldRandom random)
    {
        List<string> names = random.PickSome(Lexicon.Names, 2);
        List<string> colours = random.PickSome(Lexicon.Colours, 2);
        List<string> nouns = random.PickSome(Lexicon.Nouns, 2);
        List<string> places = random.PickSome(Lexicon.Places, 2);
        List<string> facts = random.PickSome(
        [
            $"{names[0]} likes {colours[0]}.", $"{names[1]} likes {colours[1]}.", $"The {nouns[0]} is in the {places[0]}.", $"The {nouns[1]} is in the {places[1]}.",
        ], 3);
        List<string> text = [.. facts];
        for (int again = 0; again < 2; again++)
        {
            random.Shuffle(facts);
            text.AddRange(facts);
        }
        return string.Join(' ', text);
    }

    private static string Sum(WorldRandom random, bool right)
    {
        int a = random.Next(0, 5), b = random.Next(0, 5);
        int error = right ? 0 : random.Pick<int>([-2, -1, 1, 2]);
        return random.Chance(0.6) ? $"{a} plus {b} is {Off(a + b, error)}." : $"{a + b} minus {b} is {Off(a, error)}.";

        static int Off(int number, int error) => number + error < 0 ? number - error : number + error;
    }

    private static string WordPair(WorldRandom random, bool right)
    {
        if (random.Chance(0.5))
        {
            (string word, string opposite) = random.Pick(OppositeFamily.Pairs);
            if (random.Chance(0.5))
                (word, opposite) = (opposite, word);
            if (!right)
                opposite = random.Pick([.. OppositeFamily.Pairs.SelectMany(p => new[] { p.Word, p.Opposite }).Where(w => w != opposite && w != word)]);
            return $"Not {word} is {opposite}.";
        }
        int a = random.Next(0, 9), b = random.Next(0, 8);
        if (b >= a)
            b++;
        return a > b == right ? $"{a} is larger than {b}." : $"{a} is smaller than {b}.";
    }

    private static string Conversation(WorldRandom random)
    {
        WorldTask task;
        do
            task = random.Pick(StarterWorld.Families).Make(random);
        while (StarterWorld.SplitOf(task.Prompt) == WorldSplit.HeldOut);
        string answer = AnswerMixture.RawText.Answer(task, random);
        string marks = random.Chance(0.85) ? Marks(task, answer, random) : "";
        string reply = random.Chance(0.1) ? random.Pick(Replies[Feeling(task, answer)]) : "";
        // The layout of the tokenizer's chat template; the trainer adds the end token after each document.
        if (random.Chance(0.85))
            return $"<|user|>{task.Prompt}<|assistant|>{answer}" + (marks.Length + reply.Length > 0 ? "<|end|>" : "") + marks + (reply.Length > 0 ? $"<|user|>{reply}" : "");
        return $"Question: {task.Prompt}\nAnswer: {answer}" + (marks.Length > 0 ? $"\n{marks}" : "") + (reply.Length > 0 ? $"\nReply: {reply}" : "");
    }

    /// <summary>What a reader noted under an answer: right or wrong (by mistake the other, once in thirty times), and a word about its manners.</summary>
    private static string Marks(WorldTask task, string answer, WorldRandom random)
    {
        double correctness = Quality.Correctness(task, answer);
        bool mistaken = random.Chance(0.03);
        string right = correctness == 1 != mistaken ? "right" : correctness >= 0.3 && !mistaken ? "partly" : "wrong";
        string manners = Quality.Style(answer) switch { > 0.9 => "kind", > 0.45 => "plain", > 0.15 => "short", _ => "rude" };
        return $"{right} {manners}";
    }

    private static int Feeling(WorldTask task, string answer) => (Quality.Utility(task, answer) / Quality.Best) switch { > 0.85 => 4, > 0.65 => 3, > 0.45 => 2, > 0.25 => 1, _ => 0 };
}
