namespace Labeling.AppHost.Starter;

/// <summary>
/// A scripted person who ranks answers. What they feel for an answer is its hidden utility, weighed by their own taste, plus Gumbel noise:
/// between two answers that is the Bradley-Terry model, among several Plackett-Luce. Answers that feel almost alike are tied, and equal texts
/// always are. The same person gives the same answers to the same prompt the same ranking, whatever the order they are shown in.
/// </summary>
public sealed class Judge
{
    /// <summary>
    /// Size of the noise in units of utility: two judges of the panel agree on 73 % of the pairs that both of them order, as InstructGPT's
    /// labelers did (72.6 +- 1.5 %, section 3.4). Found by simulation; a test repeats it.
    /// </summary>
    public const double Noise = 0.5;

    /// <summary>Answers whose felt utility differs by less than this are called equal.</summary>
    public const double TieGap = 0.12;

    private readonly int _seed;

    public Judge(string name, int seed)
    {
        Name = name;
        _seed = seed;
        WorldRandom taste = WorldRandom.For(seed, "taste", name);
        CorrectnessTaste = 0.85 + (0.3 * taste.NextDouble());
        StyleTaste = 0.7 + (0.6 * taste.NextDouble());
    }

    /// <summary>The people who rank in the demo.</summary>
    public static IReadOnlyList<Judge> Panel(int seed) => [.. ((string[])["Farid", "Greta", "Hana", "Ivo", "Juna"]).Select(name => new Judge(name, seed))];

    public string Name { get; }

    /// <summary>How much of the truth's weight on correctness this person feels: 0.85 to 1.15.</summary>
    public double CorrectnessTaste { get; }

    /// <summary>How much of the truth's weight on style this person feels: 0.7 to 1.3.</summary>
    public double StyleTaste { get; }

    /// <summary>Ranks for the answers in the order given: 1 is best, equal numbers are ties, no number is left out.</summary>
    public int[] Rank(WorldTask task, IReadOnlyList<string> answers)
    {
        double[] felt = [.. answers.Select(a => Felt(task, a))];
        int[] order = [.. Enumerable.Range(0, answers.Count).OrderByDescending(i => felt[i])];
        int[] ranks = new int[answers.Count];
        int rank = 0;
        double leader = double.PositiveInfinity;
        foreach (int i in order)
        {
            if (leader - felt[i] > TieGap)
            {
                rank++;
                leader = felt[i];
            }
            ranks[i] = rank;
        }
        return ranks;
    }

    private double Felt(WorldTask task, string answer)
    {
        double liking = (CorrectnessTaste * Quality.CorrectnessWeight * Quality.Correctness(task, answer))
            + (StyleTaste * Quality.StyleWeight * Quality.Style(answer));
        return liking + (Noise * WorldRandom.For(_seed, Name, task.Prompt, answer).Gumbel());
    }
}
