using Labeling.Training.Runs;

namespace Labeling.Training.Pretraining;

/// <summary>
/// MinHash (Broder 1997): of a set's hashes under many hash functions the smallest each. Two sets agree in a place with the probability of their Jaccard
/// similarity, so similar sets can be found by agreeing bands of places, without comparing all with all.
/// </summary>
internal sealed class MinHash
{
    /// <summary>How surely a pair at the threshold must be found.</summary>
    private const double Certainty = 0.99;

    private readonly ulong[] salts;

    /// <summary>Makes the hash functions.</summary>
    /// <param name="hashes">How many.</param>
    /// <param name="threshold">Jaccard similarity from which pairs are to be found.</param>
    /// <param name="seed">Seed of the functions.</param>
    public MinHash(int hashes, double threshold, long seed)
    {
        salts = [.. Enumerable.Range(0, hashes).Select(i => (ulong)Seeds.Derive(seed, i))];
        // The longest bands that are sure enough: long bands agree by chance less often, and each such candidate costs a comparison.
        RowsPerBand = Enumerable.Range(1, hashes).LastOrDefault(rows => FindsAt(threshold, rows) >= Certainty, 1);
        Found = FindsAt(threshold, RowsPerBand);
    }

    /// <summary>Places of a band.</summary>
    public int RowsPerBand { get; }

    /// <summary>Bands.</summary>
    public int Bands => salts.Length / RowsPerBand;

    /// <summary>Probability that a pair at the threshold agrees in a band; a more similar one is found more surely.</summary>
    public double Found { get; }

    /// <summary>The different word n-grams of a text, sorted.</summary>
    public static ulong[] Shingles(string text, int words) => [.. WordGrams.Hashes(text, words).Distinct().Order()];

    /// <summary>Jaccard similarity of two sorted sets: what both have over what either has.</summary>
    public static double Jaccard(ReadOnlySpan<ulong> a, ReadOnlySpan<ulong> b)
    {
        var (i, j, both) = (0, 0, 0);
        while (i < a.Length && j < b.Length)
        {
            var (x, y) = (a[i], b[j]);
            both += x == y ? 1 : 0;
            i += x <= y ? 1 : 0;
            j += y <= x ? 1 : 0;
        }
        return a.Length + b.Length == 0 ? 1 : (double)both / (a.Length + b.Length - both);
    }

    /// <summary>Smallest hash of the set under each function.</summary>
    public ulong[] Signature(ReadOnlySpan<ulong> set)
    {
        var signature = new ulong[salts.Length];
        for (var i = 0; i < salts.Length; i++)
        {
            var smallest = ulong.MaxValue;
            foreach (var element in set)
            {
                smallest = Math.Min(smallest, Seeds.Mix(element ^ salts[i]));
            }
            signature[i] = smallest;
        }
        return signature;
    }

    /// <summary>One key per band; two sets are candidates when they have one in common.</summary>
    public IEnumerable<ulong> BandKeys(ulong[] signature)
    {
        for (var band = 0; band < Bands; band++)
        {
            var key = (ulong)band;
            foreach (var place in signature.AsSpan(band * RowsPerBand, RowsPerBand))
            {
                key = Seeds.Mix(key + place);
            }
            yield return key;
        }
    }

    /// <summary>1 − (1 − s^rows)^bands.</summary>
    private double FindsAt(double similarity, int rows) => 1 - Math.Pow(1 - Math.Pow(similarity, rows), salts.Length / rows);
}
