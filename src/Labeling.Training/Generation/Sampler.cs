using System.Runtime.Intrinsics;

namespace Labeling.Training.Generation;

/// <summary>Picks a token from a row of logits.</summary>
sealed class Sampler(int vocabulary, SamplingOptions options)
{
    readonly double[] weights = new double[vocabulary];
    readonly int[] order = new int[vocabulary];

    /// <summary>The token and its log-probability under softmax(logits / temperature), before top-k and top-p cut anything off.</summary>
    /// <param name="logits">One row, [vocabulary].</param>
    /// <param name="uniform">A random number in [0, 1).</param>
    public (int Token, float LogProbability) Sample(ReadOnlySpan<float> logits, double uniform)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
            if (logits[i] > logits[best]) best = i;
        var greedy = options.Temperature == 0;
        var inverse = greedy ? 1 : 1 / options.Temperature;
        var total = Exponentials(logits, logits[best], inverse);
        var token = greedy ? best : options.TopK == 0 && options.TopP >= 1 ? Pick(total * uniform) : PickTop(total, uniform);
        return (token, (float)((logits[token] - logits[best]) * inverse - Math.Log(total)));
    }

    /// <summary>Fills the weights with exp((logit - largest)·inverse temperature) and returns their sum.</summary>
    double Exponentials(ReadOnlySpan<float> logits, float largest, double inverse)
    {
        var total = 0.0;
        var i = 0;
        var (shift, scale) = (Vector512.Create((double)largest), Vector512.Create(inverse));
        var sums = Vector512<double>.Zero;
        for (; i + 8 <= logits.Length; i += 8)
        {
            var (low, high) = Vector256.Widen(Vector256.Create(logits.Slice(i, 8)));
            var weight = Vector512.Exp((Vector512.Create(low, high) - shift) * scale);
            weight.CopyTo(weights, i);
            sums += weight;
        }
        for (; i < logits.Length; i++) total += weights[i] = Math.Exp((logits[i] - largest) * inverse);
        return total + Vector512.Sum(sums);
    }

    int Pick(double target)
    {
        var last = 0;
        for (var i = 0; i < weights.Length; i++)
        {
            if (weights[i] == 0) continue;
            last = i;
            target -= weights[i];
            if (target < 0) return i;
        }
        return last;
    }

    /// <summary>Exact top-k, then the smallest set of most likely tokens whose probability reaches top-p (Holtzman et al. 2020, arXiv 1904.09751).</summary>
    int PickTop(double total, double uniform)
    {
        // Tokens below this share together weigh less than 1 - p, so none of them is in the nucleus and need be sorted.
        var floor = options.TopP < 1 && options.TopK == 0 ? (1 - options.TopP) / weights.Length * total : 0;
        var count = 0;
        for (var i = 0; i < weights.Length; i++)
            if (weights[i] >= floor) order[count++] = i;
        var candidates = order.AsSpan(0, count);
        // Equal weights keep the order of ids, so that the result does not depend on the sorting algorithm.
        candidates.Sort((a, b) => weights[b] != weights[a] ? weights[b].CompareTo(weights[a]) : a.CompareTo(b));
        if (options.TopK > 0 && options.TopK < count) candidates = candidates[..options.TopK];
        if (options.TopP < 1)
        {
            var mass = 0.0;
            if (options.TopK > 0)
            {
                total = 0;
                foreach (var i in candidates) total += weights[i];
            }
            var kept = 0;
            while (kept < candidates.Length && mass < options.TopP * total) mass += weights[candidates[kept++]];
            candidates = candidates[..Math.Max(1, kept)];
        }
        var sum = 0.0;
        foreach (var i in candidates) sum += weights[i];
        var target = sum * uniform;
        foreach (var i in candidates)
        {
            target -= weights[i];
            if (target < 0) return i;
        }
        return candidates[^1];
    }
}
