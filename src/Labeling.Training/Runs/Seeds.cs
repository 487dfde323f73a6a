namespace Labeling.Training.Runs;

/// <summary>
/// All randomness of a run is a function of its seed and of where it is needed (step, epoch, row), never of what happened before.
/// So nothing about random state has to be saved for a resumed run to go on exactly as the uninterrupted one.
/// </summary>
public static class Seeds
{
    /// <summary>A seed for one place, e.g. <c>Derive(seed, step, row)</c>. Non-negative, fits a positive <see cref="long"/>.</summary>
    public static long Derive(long seed, params ReadOnlySpan<long> place)
    {
        var state = Mix((ulong)seed + 0x9E3779B97F4A7C15);
        foreach (var part in place)
        {
            state = Mix(state ^ ((ulong)part + 0x9E3779B97F4A7C15));
        }
        return (long)(state >> 1);
    }

    /// <summary>The numbers 0..count-1 in an order fixed by the seed (Fisher-Yates).</summary>
    public static int[] Permutation(int count, long seed)
    {
        var order = new int[count];
        var state = (ulong)seed;
        for (var i = 0; i < count; i++)
        {
            order[i] = i;
        }
        for (var i = count - 1; i > 0; i--)
        {
            state += 0x9E3779B97F4A7C15;
            var j = (int)(Mix(state) % (ulong)(i + 1));
            (order[i], order[j]) = (order[j], order[i]);
        }
        return order;
    }

    /// <summary>splitmix64's finaliser (Steele et al. 2014).</summary>
    internal static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
