using System.Text;

namespace Labeling.AppHost.Starter;

/// <summary>
/// SplitMix64 (Steele, Lea and Flood 2014). The world must come out the same on every machine and .NET version, which
/// <see cref="Random"/> does not promise.
/// </summary>
public sealed class WorldRandom(ulong seed)
{
    private ulong _state = seed;

    /// <summary>A generator of its own for each thing that is named, so that no result depends on what was drawn before it.</summary>
    public static WorldRandom For(int seed, params ReadOnlySpan<string> names)
    {
        ulong state = Hash(((ulong)(uint)seed).ToString());
        foreach (string name in names)
            state = Mix(state ^ Hash(name));
        return new WorldRandom(state);
    }

    /// <summary>FNV-1a over UTF-8, mixed once more so that similar texts land far apart.</summary>
    public static ulong Hash(string text)
    {
        ulong hash = 14695981039346656037;
        foreach (byte b in Encoding.UTF8.GetBytes(text))
            hash = (hash ^ b) * 1099511628211;
        return Mix(hash);
    }

    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>A whole number from <paramref name="low"/> to <paramref name="high"/>, both included.</summary>
    public int Next(int low, int high) => low + (int)(NextDouble() * (high - low + 1));

    public bool Chance(double probability) => NextDouble() < probability;

    public T Pick<T>(IReadOnlyList<T> items) => items[Next(0, items.Count - 1)];

    /// <summary>Different items, in random order.</summary>
    public List<T> PickSome<T>(IReadOnlyList<T> items, int count)
    {
        List<T> rest = [.. items];
        List<T> picked = [];
        for (int i = 0; i < count; i++)
        {
            int at = Next(0, rest.Count - 1);
            picked.Add(rest[at]);
            rest.RemoveAt(at);
        }
        return picked;
    }

    public void Shuffle<T>(IList<T> items)
    {
        for (int i = items.Count - 1; i > 0; i--)
        {
            int j = Next(0, i);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    /// <summary>An index drawn in proportion to the weights.</summary>
    public int PickWeighted(IReadOnlyList<double> weights)
    {
        double left = NextDouble() * weights.Sum();
        for (int i = 0; i < weights.Count - 1; i++)
            if ((left -= weights[i]) < 0)
                return i;
        return weights.Count - 1;
    }

    /// <summary>Standard Gumbel noise: the difference of two draws is logistic, so choices by noisy utility follow Bradley-Terry.</summary>
    public double Gumbel() => -Math.Log(-Math.Log(Math.Clamp(NextDouble(), 1e-12, 1 - 1e-12)));

    private ulong Next() => Mix(_state += 0x9E3779B97F4A7C15);

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
