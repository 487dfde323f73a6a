namespace Labeling.AppHost.Starter.Families;

/// <summary>Tasks whose answer is a list of words in a certain order. Given: the words of the instruction.</summary>
public abstract class WordListFamily : TaskFamily
{
    protected abstract int Longest { get; }

    protected abstract IReadOnlyList<string> Wordings { get; }

    protected abstract IReadOnlyList<string> Sentences { get; }

    protected abstract IEnumerable<string> Solve(IReadOnlyList<string> words);

    public override WorldTask Make(WorldRandom random)
    {
        List<string> words = random.PickSome(Lexicon.Nouns, random.Next(2, Longest));
        string prompt = random.Pick(Wordings).Replace("{0}", string.Join(" ", words), StringComparison.Ordinal);
        return new WorldTask(this, prompt, words, string.Join(" ", Solve(words)));
    }

    public override string Wrong(WorldTask task, WorldRandom random)
    {
        List<string> words = [.. task.Answer.Split(' ')];
        switch (random.Next(0, 3))
        {
            case 0 when task.Given.SequenceEqual(words) is false:
                return string.Join(" ", task.Given);
            case 1:
                words.RemoveAt(random.Next(0, words.Count - 1));
                break;
            case 2:
                words[random.Next(0, words.Count - 1)] = random.Pick([.. Lexicon.Nouns.Except(words)]);
                break;
            default:
                int at = random.Next(0, words.Count - 2);
                (words[at], words[at + 1]) = (words[at + 1], words[at]);
                break;
        }
        return string.Join(" ", words);
    }

    public override string Sentence(WorldTask task, string content, WorldRandom random) =>
        random.Pick(Sentences).Replace("{0}", content, StringComparison.Ordinal);

    /// <summary>All words in order: 1. Otherwise up to half marks, for the share of words in place by edit distance.</summary>
    public override double Correctness(WorldTask task, string answer)
    {
        string[] expected = task.Answer.Split(' ');
        List<string> given = Lexicon.NounsIn(answer);
        int longest = Math.Max(expected.Length, given.Count);
        int distance = EditDistance(expected, given);
        return distance == 0 ? 1 : 0.5 * (longest - distance) / longest;
    }

    private static int EditDistance(string[] a, List<string> b)
    {
        int[] previous = [.. Enumerable.Range(0, b.Count + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int[] row = new int[b.Count + 1];
            row[0] = i;
            for (int j = 1; j <= b.Count; j++)
                row[j] = Math.Min(Math.Min(row[j - 1], previous[j]) + 1, previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
            previous = row;
        }
        return previous[b.Count];
    }
}

public sealed class CopyFamily : WordListFamily
{
    public override string Name => "copy";

    protected override int Longest => 4;

    protected override IReadOnlyList<string> Wordings { get; } =
        ["Repeat these words: {0}.", "Copy this list: {0}.", "Please say after me: {0}.", "Write the following words again: {0}."];

    protected override IReadOnlyList<string> Sentences { get; } = ["The words are {0}.", "Here is the list: {0}."];

    protected override IEnumerable<string> Solve(IReadOnlyList<string> words) => words;
}

public sealed class ReverseFamily : WordListFamily
{
    public override string Name => "reverse";

    protected override int Longest => 3;

    protected override IReadOnlyList<string> Wordings { get; } =
        ["Reverse the order of these words: {0}.", "Write this list backwards: {0}.", "Say these words from last to first: {0}."];

    protected override IReadOnlyList<string> Sentences { get; } = ["In reverse order it is {0}.", "Backwards the list is {0}."];

    protected override IEnumerable<string> Solve(IReadOnlyList<string> words) => words.Reverse();
}

public sealed class SortFamily : WordListFamily
{
    public override string Name => "sort";

    protected override int Longest => 3;

    protected override IReadOnlyList<string> Wordings { get; } =
        ["Sort these words by the alphabet: {0}.", "Put this list in alphabetical order: {0}.", "Which order does a dictionary give to {0}?"];

    protected override IReadOnlyList<string> Sentences { get; } = ["In alphabetical order it is {0}.", "The sorted list is {0}."];

    protected override IEnumerable<string> Solve(IReadOnlyList<string> words) => words.Order(StringComparer.Ordinal);
}

/// <summary>The first or the last word of a list. Given: the words.</summary>
public sealed class EndsFamily : TaskFamily
{
    public override string Name => "first or last";

    public override WorldTask Make(WorldRandom random)
    {
        List<string> words = random.PickSome(Lexicon.Nouns, random.Next(2, 4));
        bool first = random.Chance(0.5);
        string which = first ? "first" : "last";
        string list = string.Join(" ", words);
        string prompt = random.Pick<string>([$"Which word comes {which}: {list}?", $"Tell me the {which} word of this list: {list}."]);
        return new WorldTask(this, prompt, words, first ? words[0] : words[^1]);
    }

    public override string Wrong(WorldTask task, WorldRandom random) =>
        random.Pick([.. (random.Chance(0.8) ? task.Given : Lexicon.Nouns).Where(w => w != task.Answer)]);

    public override string Sentence(WorldTask task, string content, WorldRandom random) =>
        random.Pick<string>([$"The word is {content}.", $"It is the word {content}."]);

    /// <summary>Only the right word: 1. The right word among others: 0.3.</summary>
    public override double Correctness(WorldTask task, string answer)
    {
        List<string> nouns = [.. Lexicon.NounsIn(answer).Distinct()];
        return !nouns.Contains(task.Answer) ? 0 : nouns.Count == 1 ? 1 : 0.3;
    }
}
