namespace Labeling.Training.Evaluation;

/// <summary>How sure a measured share is.</summary>
public static class Intervals
{
    /// <summary>Normal quantile of a two-sided 95% interval.</summary>
    private const double Z = 1.959963984540054;

    /// <summary>
    /// Wilson's 95% score interval of a share (Wilson 1927): never empty and never outside 0 to 1, also when all or none succeed. Ties may count as half a
    /// success; their outcomes vary less than those of wins and losses, so the interval is then rather too wide than too narrow.
    /// </summary>
    /// <param name="successes">Successes, halves included.</param>
    /// <param name="trials">Trials, at least 1.</param>
    public static (double Low, double High) Wilson(double successes, int trials)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(trials, 1);
        var share = successes / trials;
        var z2 = Z * Z / trials;
        var centre = share + (z2 / 2);
        var half = Z * Math.Sqrt((share * (1 - share) / trials) + (z2 / trials / 4));
        return ((centre - half) / (1 + z2), (centre + half) / (1 + z2));
    }
}
