namespace Labeling.AppHost.Starter.Families;

/// <summary>A fact that the instruction states among two. Given: the word asked for, that of the other fact, how a sentence about the first begins.</summary>
public sealed class FactFamily : TaskFamily
{
    public override string Name => "stated fact";

    public override WorldTask Make(WorldRandom random)
    {
        int asked = random.Next(0, 1);
        if (random.Chance(0.5))
        {
            List<string> names = random.PickSome(Lexicon.Names, 2);
            List<string> colours = random.PickSome(Lexicon.Colours, 2);
            string likes = $"{names[0]} likes {colours[0]} and {names[1]} likes {colours[1]}. "
                + random.Pick<string>([$"What does {names[asked]} like?", $"Tell me what {names[asked]} likes."]);
            return new WorldTask(this, likes, [colours[asked], colours[1 - asked], $"{names[asked]} likes"], colours[asked]);
        }
        List<string> things = random.PickSome(Lexicon.Nouns, 2);
        List<string> places = random.PickSome(Lexicon.Places, 2);
        string where = $"The {things[0]} is in the {places[0]}. The {things[1]} is in the {places[1]}. "
            + random.Pick<string>([$"Where is the {things[asked]}?", $"Tell me where the {things[asked]} is."]);
        return new WorldTask(this, where, [places[asked], places[1 - asked], $"The {things[asked]} is"], $"in the {places[asked]}");
    }

    public override string Wrong(WorldTask task, WorldRandom random)
    {
        string wrong = random.Chance(0.7) ? task.Given[1] : random.Pick([.. Kind(task).Where(w => w != task.Given[0])]);
        return task.Answer.Replace(task.Given[0], wrong, StringComparison.Ordinal);
    }

    public override string Sentence(WorldTask task, string content, WorldRandom random) => $"{task.Given[2]} {content}.";

    /// <summary>The word asked for and no other of its kind 1, among others 0.3.</summary>
    public override double Correctness(WorldTask task, string answer)
    {
        HashSet<string> said = [.. Lexicon.Words(answer).Intersect(Kind(task))];
        return !said.Contains(task.Given[0]) ? 0 : said.Count == 1 ? 1 : 0.3;
    }

    private static IReadOnlyList<string> Kind(WorldTask task) => Lexicon.Colours.Contains(task.Given[0]) ? Lexicon.Colours : Lexicon.Places;
}

/// <summary>Words in capital letters. Given: the words.</summary>
public sealed class CapitalsFamily : TaskFamily
{
    public override string Name => "capitals";

    public override WorldTask Make(WorldRandom random)
    {
        List<string> words = random.PickSome(Lexicon.Nouns, random.Next(1, 2));
        string text = string.Join(" ", words);
        string prompt = random.Pick<string>([$"Write this in capital letters: {text}.", $"Shout this: {text}.", $"Make all letters large: {text}."]);
        return new WorldTask(this, prompt, words, text.ToUpperInvariant());
    }

    public override string Wrong(WorldTask task, WorldRandom random) => random.Next(0, 2) switch
    {
        0 => string.Join(" ", task.Given),
        1 => string.Join(" ", task.Given.Select(w => char.ToUpperInvariant(w[0]) + w[1..])),
        _ => random.Pick([.. Lexicon.Nouns.Except(task.Given)]).ToUpperInvariant(),
    };

    public override string Sentence(WorldTask task, string content, WorldRandom random) =>
        random.Pick<string>([$"Here it is: {content}.", $"In capital letters it is {content}."]);

    /// <summary>The words in capitals 1, the words in other letters 0.3, extra words in capitals halve the mark.</summary>
    public override double Correctness(WorldTask task, string answer)
    {
        if (!Lexicon.NounsIn(answer).SequenceEqual(task.Given))
            return answer.Contains(task.Answer, StringComparison.Ordinal) ? 0.5 : 0;
        return answer.Contains(task.Answer, StringComparison.Ordinal) ? 1 : 0.3;
    }
}

/// <summary>Opposites that must be known, not found in the instruction. Given: the word.</summary>
public sealed class OppositeFamily : TaskFamily
{
    /// <summary>Words and their opposites.</summary>
    public static IReadOnlyList<(string Word, string Opposite)> Pairs { get; } =
    [
        ("hot", "cold"), ("big", "small"), ("old", "new"), ("wet", "dry"), ("fast", "slow"), ("hard", "soft"), ("full", "empty"), ("early", "late"),
        ("loud", "quiet"), ("near", "far"), ("rich", "poor"), ("up", "down"),
    ];

    private static readonly string[] All = [.. Pairs.SelectMany(p => new[] { p.Item1, p.Item2 })];

    public override string Name => "opposite";

    public override WorldTask Make(WorldRandom random)
    {
        (string word, string opposite) = random.Pick(Pairs);
        if (random.Chance(0.5))
            (word, opposite) = (opposite, word);
        string prompt = random.Pick<string>(
        [
            $"What is the opposite of {word}?", $"Name the opposite of {word}.", $"Tell me a word that means the opposite of {word}.",
            $"If something is not {word}, what is it?",
        ]);
        return new WorldTask(this, prompt, [word], opposite);
    }

    public override string Wrong(WorldTask task, WorldRandom random) =>
        random.Chance(0.3) ? task.Given[0] : random.Pick([.. All.Where(w => w != task.Answer)]);

    public override string Sentence(WorldTask task, string content, WorldRandom random) =>
        random.Pick<string>([$"The opposite is {content}.", $"The opposite of {task.Given[0]} is {content}."]);

    /// <summary>The opposite and no other candidate 1 (the word itself may be repeated), among others 0.3.</summary>
    public override double Correctness(WorldTask task, string answer)
    {
        HashSet<string> said = [.. Lexicon.Words(answer).Intersect(All).Where(w => w != task.Given[0])];
        return !said.Contains(task.Answer) ? 0 : said.Count == 1 ? 1 : 0.3;
    }
}

/// <summary>A wish for somebody. Given: the words of the wish, then the name.</summary>
public sealed class GreetingFamily : TaskFamily
{
    private static readonly (string Asked, string Said)[] Wishes =
    [
        ("Say hello to {0}.", "Hello"), ("Greet {0}.", "Hello"), ("Wish {0} a happy birthday.", "Happy birthday"), ("Wish {0} a good night.", "Good night"),
        ("Say goodbye to {0}.", "Goodbye"), ("Thank {0}.", "Thank you"), ("Say good morning to {0}.", "Good morning"), ("Wish {0} good luck.", "Good luck"),
    ];

    public override string Name => "greeting";

    public override WorldTask Make(WorldRandom random)
    {
        (string asked, string said) = random.Pick(Wishes);
        string name = random.Pick(Lexicon.Names);
        string please = random.Chance(0.4) ? "Please " : "";
        string prompt = asked.Replace("{0}", name, StringComparison.Ordinal);
        if (please.Length > 0)
            prompt = please + char.ToLowerInvariant(prompt[0]) + prompt[1..];
        return new WorldTask(this, prompt, [said, name], $"{said}, {name}");
    }

    public override string Wrong(WorldTask task, WorldRandom random) => random.Chance(0.5)
        ? $"{task.Given[0]}, {random.Pick([.. Lexicon.Names.Where(n => n != task.Given[1])])}"
        : $"{random.Pick([.. Wishes.Select(w => w.Said).Where(s => s != task.Given[0])])}, {task.Given[1]}";

    public override string Sentence(WorldTask task, string content, WorldRandom random) => random.Chance(0.7) ? $"{content}!" : $"{content}.";

    /// <summary>The right wish to the right person 1, one of both 0.3.</summary>
    public override double Correctness(WorldTask task, string answer)
    {
        string text = answer.ToLowerInvariant();
        bool wish = text.Contains(task.Given[0], StringComparison.OrdinalIgnoreCase)
            && !Wishes.Any(w => w.Said != task.Given[0] && text.Contains(w.Said, StringComparison.OrdinalIgnoreCase));
        string[] names = [.. Lexicon.Names.Where(n => Lexicon.Words(answer).Contains(n.ToLowerInvariant()))];
        bool name = names is [var only] && only == task.Given[1];
        return wish && name ? 1 : wish || name ? 0.3 : 0;
    }
}
