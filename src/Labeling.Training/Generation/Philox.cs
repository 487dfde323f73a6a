namespace Labeling.Training.Generation;

/// <summary>
/// Philox4x32-10, a counter-based random generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). A number is a
/// pure function of seed and counter, so a row's draws depend neither on other rows nor on order, and there is no state to save.
/// </summary>
public static class Philox
{
    /// <summary>A number in [0, 1) with 53 random bits.</summary>
    /// <param name="seed">The stream.</param>
    /// <param name="counter">Which number of the stream.</param>
    public static double Uniform(ulong seed, ulong counter)
    {
        var (a, b, _, _) = Block(seed, counter, 0);
        return (((ulong)a << 32 | b) >> 11) * (1.0 / (1UL << 53));
    }

    /// <summary>A seed derived from another and an index: statistically independent streams for rows, steps or epochs.</summary>
    /// <param name="seed">Parent seed.</param>
    /// <param name="index">Which child.</param>
    public static ulong Derive(ulong seed, ulong index)
    {
        var (_, _, a, b) = Block(seed, index, 0x5EED);
        return (ulong)a << 32 | b;
    }

    /// <summary>One block of four 32-bit words.</summary>
    internal static (uint, uint, uint, uint) Block(ulong key, ulong counterLow, ulong counterHigh)
    {
        var (c0, c1, c2, c3) = ((uint)counterLow, (uint)(counterLow >> 32), (uint)counterHigh, (uint)(counterHigh >> 32));
        var (k0, k1) = ((uint)key, (uint)(key >> 32));
        for (var round = 0; round < 10; round++)
        {
            var p0 = 0xD2511F53UL * c0;
            var p1 = 0xCD9E8D57UL * c2;
            (c0, c1, c2, c3) = ((uint)(p1 >> 32) ^ c1 ^ k0, (uint)p1, (uint)(p0 >> 32) ^ c3 ^ k1, (uint)p0);
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }
        return (c0, c1, c2, c3);
    }
}
