namespace Labeling.AppHost.Demo;

/// <summary>An answer in a finished ranking, as the demo measures it.</summary>
/// <param name="Rank">The person's rank, 1 = best.</param>
/// <param name="Truth">The hidden utility.</param>
/// <param name="Score">The reward model's score, where there is one.</param>
public sealed record JudgedAnswer(int Rank, double Truth, double Score);

/// <summary>What is counted over rankings.</summary>
public static class Comparisons
{
    /// <summary>Of the pairs a person put in an order, the share that the reward model puts in the same one. Equal scores are half right.</summary>
    public static Interval RewardAccuracy(IEnumerable<IReadOnlyList<JudgedAnswer>> rankings) => Agreement(rankings, a => a.Score, a => -a.Rank);

    /// <summary>The same for the hidden truth itself: what a reward model that knew it would reach on these noisy labels.</summary>
    public static Interval TruthAccuracy(IEnumerable<IReadOnlyList<JudgedAnswer>> rankings) => Agreement(rankings, a => a.Truth, a => -a.Rank);

    /// <summary>Of the pairs that differ in hidden utility, the share that the reward model orders by it.</summary>
    public static Interval RewardAgainstTruth(IEnumerable<IReadOnlyList<JudgedAnswer>> rankings) => Agreement(rankings, a => a.Score, a => a.Truth);

    /// <summary>How often the first of two answers is ranked above the second; a tie, or the very same text, is half.</summary>
    public static Interval WinRate(IEnumerable<(int First, int Second)> ranks) =>
        Interval.Of([.. ranks.Select(r => (r.First < r.Second ? 1.0 : r.First == r.Second ? 0.5 : 0.0, 1))]);

    private static Interval Agreement(IEnumerable<IReadOnlyList<JudgedAnswer>> rankings, Func<JudgedAnswer, double> guess, Func<JudgedAnswer, double> label)
    {
        List<(double, int)> groups = [];
        foreach (IReadOnlyList<JudgedAnswer> ranking in rankings)
        {
            double right = 0;
            int pairs = 0;
            for (int a = 0; a < ranking.Count; a++)
                for (int b = a + 1; b < ranking.Count; b++)
                {
                    int wanted = label(ranking[a]).CompareTo(label(ranking[b]));
                    if (wanted == 0)
                        continue;
                    int guessed = guess(ranking[a]).CompareTo(guess(ranking[b]));
                    right += guessed == 0 ? 0.5 : guessed == wanted ? 1 : 0;
                    pairs++;
                }
            if (pairs > 0)
                groups.Add((right, pairs));
        }
        return Interval.Of(groups);
    }
}
