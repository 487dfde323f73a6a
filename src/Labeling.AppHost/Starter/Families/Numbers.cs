using System.Globalization;

namespace Labeling.AppHost.Starter.Families;

/// <summary>Tasks whose answer is a number.</summary>
public abstract class NumberFamily : TaskFamily
{
    protected abstract IReadOnlyList<string> Sentences { get; }

    public override string Wrong(WorldTask task, WorldRandom random)
    {
        int right = int.Parse(task.Answer, CultureInfo.InvariantCulture);
        int wrong = right + random.Pick<int>([-3, -2, -1, -1, 1, 1, 2, 3]);
        return Text(wrong < 0 ? right + 1 : wrong);
    }

    public override string Sentence(WorldTask task, string content, WorldRandom random) =>
        random.Pick(Sentences).Replace("{0}", content, StringComparison.Ordinal);

    /// <summary>The last number that is said counts: right 1, one beside it 0.3. Numbers that were not asked about halve the mark.</summary>
    public override double Correctness(WorldTask task, string answer)
    {
        List<string> numbers = [.. Lexicon.Words(answer).Where(w => char.IsAsciiDigit(w[0]))];
        if (numbers.Count == 0 || !int.TryParse(numbers[^1], CultureInfo.InvariantCulture, out int last))
            return 0;
        int distance = Math.Abs(last - int.Parse(task.Answer, CultureInfo.InvariantCulture));
        double mark = distance == 0 ? 1 : distance == 1 ? 0.3 : 0;
        return numbers.SkipLast(1).All(n => task.Given.Contains(n) || n == task.Answer) ? mark : mark / 2;
    }

    protected static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>Sums and differences up to 10. Given: the two numbers.</summary>
public sealed class ArithmeticFamily : NumberFamily
{
    public override string Name => "arithmetic";

    protected override IReadOnlyList<string> Sentences { get; } = ["The answer is {0}.", "It makes {0}."];

    public override WorldTask Make(WorldRandom random)
    {
        int a = random.Next(0, 5);
        int b = random.Next(0, 5);
        bool sum = random.Chance(0.6);
        if (!sum && b > a)
            (a, b) = (b, a);
        string prompt = random.Pick<string>(sum
            ? [$"What is {a} plus {b}?", $"Add {a} and {b}.", $"How much is {a} plus {b}?"]
            : [$"What is {a} minus {b}?", $"Take {b} away from {a}.", $"How much is {a} minus {b}?"]);
        return new WorldTask(this, prompt, [Text(a), Text(b)], Text(sum ? a + b : a - b));
    }
}

/// <summary>How many words a list has. Given: nothing that an answer may repeat.</summary>
public sealed class CountFamily : NumberFamily
{
    public override string Name => "count";

    protected override IReadOnlyList<string> Sentences { get; } = ["There are {0} words.", "The list has {0} words."];

    public override WorldTask Make(WorldRandom random)
    {
        List<string> words = random.PickSome(Lexicon.Nouns, random.Next(2, 4));
        string list = string.Join(" ", words);
        string prompt = random.Pick<string>([$"How many words are in this list: {list}?", $"Count these words: {list}."]);
        return new WorldTask(this, prompt, [], Text(words.Count));
    }
}

/// <summary>The larger or smaller of two numbers. Given: both.</summary>
public sealed class CompareFamily : NumberFamily
{
    public override string Name => "compare";

    protected override IReadOnlyList<string> Sentences { get; } = ["The number is {0}.", "It is {0}."];

    public override WorldTask Make(WorldRandom random)
    {
        int a = random.Next(0, 9);
        int b = random.Next(0, 8);
        if (b >= a)
            b++;
        bool larger = random.Chance(0.5);
        string which = larger ? "larger" : "smaller";
        string prompt = random.Pick<string>([$"Which number is {which}, {a} or {b}?", $"Name the {which} one of {a} and {b}."]);
        return new WorldTask(this, prompt, [Text(a), Text(b)], Text(larger ? Math.Max(a, b) : Math.Min(a, b)));
    }

    public override string Wrong(WorldTask task, WorldRandom random)
    {
        string other = Text(random.Next(0, 9));
        return random.Chance(0.8) || other == task.Answer ? task.Given.First(n => n != task.Answer) : other;
    }

    /// <summary>The right number alone 1, both numbers 0.3.</summary>
    public override double Correctness(WorldTask task, string answer)
    {
        List<string> numbers = [.. Lexicon.Words(answer).Where(w => char.IsAsciiDigit(w[0])).Distinct()];
        return !numbers.Contains(task.Answer) ? 0 : numbers.Count == 1 ? 1 : 0.3;
    }
}
