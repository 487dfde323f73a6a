using System.Runtime.Intrinsics;
using Labeling.Training.Runs;

namespace Labeling.Training.Generation;

/// <summary>Picks a token from a row of logits. Holds room for one row, so one thread at a time.</summary>
sealed class Sampler(int vocabulary, SamplingOptions options)
{
    readonly double[] weights = new double[vocabulary];
    readonly Nucleus? nucleus = options.TopK > 0 || options.TopP < 1 ? new Nucleus(vocabulary, options.TopK, options.TopP) : null;

    /// <summary>
    /// The token and its log-probability under softmax(logits / temperature), before a penalty, top-k and top-p change anything.
    /// </summary>
    /// <param name="logits">One row, [vocabulary].</param>
    /// <param name="uniform">A random number in [0, 1).</param>
    /// <param name="history">The row's tokens so far, for the repetition penalty.</param>
    /// <exception cref="NonFiniteException">A logit is NaN or positive infinity, or all are negative infinity.</exception>
    public (int Token, float LogProbability) Sample(ReadOnlySpan<float> logits, double uniform, IEnumerable<int>? history = null)
    {
        var greedy = options.Temperature == 0;
        var inverse = greedy ? 1 : 1 / options.Temperature;
        var largest = Largest(logits);
        var total = Exponentials(logits, largest, inverse);
        if (!double.IsFinite(total)) throw new NonFiniteException("The model's logits are not finite; its weights are damaged or have diverged.");
        var logTotal = Math.Log(total);
        var penalize = options.RepetitionPenalty != 1 && history is not null;
        if (penalize) total += Penalize(logits, largest, inverse, history!);
        var token = !greedy ? nucleus is null ? Pick(total * uniform) : nucleus.Pick(weights, total, uniform)
            : penalize ? Array.IndexOf(weights, weights.Max()) : logits.IndexOf(largest);
        return (token, (float)((logits[token] - largest) * inverse - logTotal));
    }

    /// <summary>
    /// Logits of tokens already there are divided by the penalty, or multiplied when below 0 (Keskar et al. 2019, arXiv 1909.05858, section
    /// 4.1). Returns by how much the sum of the weights changed.
    /// </summary>
    double Penalize(ReadOnlySpan<float> logits, float largest, double inverse, IEnumerable<int> history)
    {
        var change = 0.0;
        foreach (var token in history)
        {
            // From the logit, not the weight: a token that is there twice is penalized once.
            var penalized = logits[token] > 0 ? logits[token] / options.RepetitionPenalty : logits[token] * options.RepetitionPenalty;
            var weight = Math.Exp((penalized - largest) * inverse);
            change += weight - weights[token];
            weights[token] = weight;
        }
        return change;
    }

    static float Largest(ReadOnlySpan<float> logits)
    {
        var i = 0;
        var largest = logits[0];
        if (logits.Length >= 16)
        {
            var all = Vector512.Create(logits);
            for (i = 16; i + 16 <= logits.Length; i += 16) all = Vector512.Max(all, Vector512.Create(logits[i..]));
            largest = VectorMath.Largest(all);
        }
        for (; i < logits.Length; i++) largest = MathF.Max(largest, logits[i]);
        return largest;
    }

    /// <summary>Fills the weights with exp((logit - largest)·inverse temperature) and returns their sum.</summary>
    double Exponentials(ReadOnlySpan<float> logits, float largest, double inverse)
    {
        var i = 0;
        var (shift, scale) = (Vector512.Create((double)largest), Vector512.Create(inverse));
        var sums = Vector512<double>.Zero;
        for (; i + 8 <= logits.Length; i += 8)
        {
            var weight = Exponential(logits.Slice(i, 8));
            weight.CopyTo(weights, i);
            sums += weight;
        }
        if (i < logits.Length)
        {
            // By the same function to the last bit: equal logits must have equal weights.
            Span<float> rest = stackalloc float[8];
            rest.Fill(float.MinValue);
            logits[i..].CopyTo(rest);
            var weight = Exponential(rest);
            sums += weight;
            for (var j = 0; i + j < logits.Length; j++) weights[i + j] = weight[j];
        }
        return Vector512.Sum(sums);

        Vector512<double> Exponential(ReadOnlySpan<float> eight)
        {
            var (low, high) = Vector256.Widen(Vector256.Create(eight));
            return Vector512.Exp((Vector512.Create(low, high) - shift) * scale);
        }
    }

    int Pick(double target)
    {
        const int Block = 64;
        var i = 0;
        // Whole blocks are passed over by their sums.
        for (; i + Block <= weights.Length; i += Block)
        {
            var sums = Vector512<double>.Zero;
            for (var j = i; j < i + Block; j += 8) sums += Vector512.Create(weights, j);
            var sum = Vector512.Sum(sums);
            if (target < sum) break;
            target -= sum;
        }
        var last = -1;
        for (; i < weights.Length; i++)
        {
            if (weights[i] == 0) continue;
            last = i;
            target -= weights[i];
            if (target < 0) return i;
        }
        // Rounding can leave a rest beyond the last weight.
        return last >= 0 ? last : Array.FindLastIndex(weights, w => w > 0);
    }
}
