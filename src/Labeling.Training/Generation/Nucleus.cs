namespace Labeling.Training.Generation;

/// <summary>
/// Exact top-k and top-p without sorting the vocabulary. Weights in (0, 1] fall into buckets by the first bits of their number; only the
/// bucket in which the limit is reached has to be sorted. Equal weights are taken in the order of their ids.
/// </summary>
sealed class Nucleus(int vocabulary, int topK, double topP)
{
    // Exponent and six bits of the mantissa: a bucket spans 1.6 %. What is below 2^-64 shares the first one.
    const int Kept = 46;
    const int First = (1023 - 64) << 6;
    const int Buckets = (64 << 6) + 1;
    const int IdBits = 64 - Kept;

    readonly int[] counts = new int[Buckets];
    readonly double[] masses = new double[Buckets];
    readonly int[] chosen = new int[vocabulary];
    readonly ulong[] keys = new ulong[vocabulary];

    /// <summary>Draws in proportion to the weights from the top k tokens and, of these, the smallest set of most likely ones that reaches p (Holtzman et al. 2020, arXiv 1904.09751).</summary>
    /// <param name="weights">exp(logit - largest), [vocabulary].</param>
    /// <param name="total">Their sum.</param>
    /// <param name="uniform">A random number in [0, 1).</param>
    public int Pick(double[] weights, double total, double uniform)
    {
        Array.Clear(counts);
        Array.Clear(masses);
        foreach (var weight in weights)
        {
            var bucket = Bucket(weight);
            counts[bucket]++;
            masses[bucket] += weight;
        }
        var kept = topK > 0 && topK < vocabulary ? TopK(weights) : vocabulary;
        if (topP < 1) kept = kept < vocabulary ? Prefix(weights, kept) : TopP(weights, total);
        // Only a k of the whole vocabulary keeps everything.
        if (kept == vocabulary)
            for (var i = 0; i < vocabulary; i++) chosen[i] = i;
        var sum = 0.0;
        var candidates = chosen.AsSpan(0, kept);
        foreach (var i in candidates) sum += weights[i];
        var target = sum * uniform;
        foreach (var i in candidates)
        {
            target -= weights[i];
            if (target < 0) return i;
        }
        return candidates[^1];
    }

    static int Bucket(double weight) => Math.Max(0, (int)(BitConverter.DoubleToUInt64Bits(weight) >> Kept) - First);

    /// <summary>Chooses the k most likely tokens, in order.</summary>
    int TopK(double[] weights)
    {
        var (bucket, above) = (Buckets - 1, 0);
        while (above + counts[bucket] < topK) above += counts[bucket--];
        var count = 0;
        for (var i = 0; i < weights.Length; i++)
            if (Bucket(weights[i]) >= bucket) chosen[count++] = i;
        chosen.AsSpan(0, count).Sort((a, b) => weights[b] != weights[a] ? weights[b].CompareTo(weights[a]) : a.CompareTo(b));
        return topK;
    }

    /// <summary>Of the tokens chosen by k, the first that reach p of their mass.</summary>
    int Prefix(double[] weights, int count)
    {
        var (total, mass, kept) = (0.0, 0.0, 0);
        foreach (var i in chosen.AsSpan(0, count)) total += weights[i];
        while (kept < count && mass < topP * total) mass += weights[chosen[kept++]];
        return Math.Max(1, kept);
    }

    /// <summary>Chooses the tokens of the nucleus.</summary>
    int TopP(double[] weights, double total)
    {
        var (bucket, mass) = (Buckets - 1, 0.0);
        while (bucket > 0 && mass + masses[bucket] < topP * total) mass += masses[bucket--];
        var (count, edge) = (0, 0);
        for (var i = 0; i < weights.Length; i++)
        {
            var own = Bucket(weights[i]);
            if (own > bucket) chosen[count++] = i;
            // Within a bucket the rest of the mantissa and then the id decide; larger weights come first.
            else if (own == bucket) keys[edge++] = ~BitConverter.DoubleToUInt64Bits(weights[i]) << IdBits | (uint)i;
        }
        var border = keys.AsSpan(0, edge);
        if (bucket > 0 && vocabulary <= 1 << IdBits)
        {
            border.Sort();
            for (var j = 0; j < edge && (mass < topP * total || count == 0); j++)
            {
                chosen[count++] = (int)(border[j] & ((1UL << IdBits) - 1));
                mass += weights[chosen[count - 1]];
            }
            return count;
        }
        // Weights of any exponent, or ids of more bits than fit beside them.
        var ids = Enumerable.Range(0, vocabulary).Where(i => Bucket(weights[i]) == bucket).OrderByDescending(i => weights[i]).ThenBy(i => i);
        foreach (var i in ids)
        {
            if (mass >= topP * total && count > 0) break;
            chosen[count++] = i;
            mass += weights[i];
        }
        return count;
    }
}
