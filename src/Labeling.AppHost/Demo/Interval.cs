using Labeling.AppHost.Starter;

namespace Labeling.AppHost.Demo;

/// <summary>A measured share with its 95 % interval.</summary>
/// <param name="N">How many prompts or rankings it is measured on.</param>
public sealed record Interval(double Value, double Low, double High, int N)
{
    private const int Resamples = 4000;

    /// <summary>
    /// The share of points won, sum over sum, with the percentile bootstrap over groups: what comes from one prompt (all pairs of a ranking) is
    /// drawn together, because it is not independent. The draws are seeded, so the same labels give the same interval.
    /// </summary>
    /// <param name="groups">Points won (a tie is half a point) and points there were, by prompt.</param>
    public static Interval Of(IReadOnlyList<(double Won, int Of)> groups)
    {
        int all = groups.Sum(g => g.Of);
        if (all == 0)
            return new Interval(0.5, 0, 1, 0);
        WorldRandom random = new(20220304);
        double[] shares = new double[Resamples];
        for (int r = 0; r < Resamples; r++)
        {
            double won = 0, of = 0;
            for (int i = 0; i < groups.Count; i++)
            {
                (double w, int n) = groups[random.Next(0, groups.Count - 1)];
                won += w;
                of += n;
            }
            shares[r] = of > 0 ? won / of : 0.5;
        }
        Array.Sort(shares);
        return new Interval(groups.Sum(g => g.Won) / all, shares[(int)(0.025 * Resamples)], shares[(int)(0.975 * Resamples) - 1], groups.Count);
    }
}
