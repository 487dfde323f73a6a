using System.Runtime.Intrinsics;
using Labeling.Training.Native;
using Labeling.Training.Runs;

namespace Labeling.Training.Generation;

/// <summary>Picks a token from a row of logits. Holds room for one row, so one thread at a time.</summary>
sealed class Sampler(int vocabulary, SamplingOptions options)
{
    // Whole vectors; what stands behind the vocabulary stays 0.
    readonly float[] weights = new float[(vocabulary + 15) / 16 * 16];
    readonly float[] room = new float[options.TopK > 0 || options.TopP < 1 ? (vocabulary + 15) / 16 * 16 : 0];
    readonly float[] penalized = new float[options.RepetitionPenalty == 1 ? 0 : vocabulary];

    /// <summary>
    /// The token and its log-probability under softmax(logits / temperature), before a penalty, top-k and top-p change anything.
    /// </summary>
    /// <param name="logits">One row, [vocabulary].</param>
    /// <param name="uniform">A random number in [0, 1).</param>
    /// <param name="prompt">The row's first tokens, for the repetition penalty.</param>
    /// <param name="answer">Its tokens since.</param>
    /// <exception cref="NonFiniteException">A logit is NaN or positive infinity, or all are negative infinity.</exception>
    public (int Token, float LogProbability) Sample(ReadOnlySpan<float> logits, double uniform, ReadOnlySpan<int> prompt = default, ReadOnlySpan<int> answer = default)
    {
        var greedy = options.Temperature == 0;
        var inverse = greedy ? 1 : 1 / options.Temperature;
        var largest = Largest(logits);
        var total = Exponentials(logits, largest, inverse);
        if (!double.IsFinite(total)) throw new NonFiniteException("The model's logits are not finite; its weights are damaged or have diverged.");
        var logTotal = Math.Log(total);
        var chosenFrom = logits;
        var most = largest;
        if (options.RepetitionPenalty != 1)
        {
            chosenFrom = Penalize(logits, prompt, answer);
            most = Largest(chosenFrom);
            if (!greedy) total = Exponentials(chosenFrom, most, inverse);
        }
        var token = greedy ? chosenFrom.IndexOf(most) : Draw(total, uniform);
        return (token, (float)(((double)logits[token] - largest) * inverse - logTotal));
    }

    /// <summary>
    /// Logits of tokens already there are divided by the penalty, or multiplied when below 0 (Keskar et al. 2019, arXiv 1909.05858, section 4.1).
    /// </summary>
    ReadOnlySpan<float> Penalize(ReadOnlySpan<float> logits, ReadOnlySpan<int> prompt, ReadOnlySpan<int> answer)
    {
        var penalty = (float)options.RepetitionPenalty;
        logits.CopyTo(penalized);
        // From the logit as it was: a token that is there twice is penalized once.
        foreach (var token in prompt) penalized[token] = Lowered(logits[token]);
        foreach (var token in answer) penalized[token] = Lowered(logits[token]);
        return penalized;

        // The penalty is at least 1, so the smaller is the quotient above 0 and the product below.
        float Lowered(float logit) => MathF.Min(logit / penalty, logit * penalty);
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
        // 1 / temperature may be more than a float32 holds, and 0 times infinity is no weight of 1.
        var (shift, scale) = (Vector512.Create(largest), Vector512.Create((float)Math.Min(inverse, float.MaxValue)));
        var sums = Vector512<double>.Zero;
        var i = 0;
        for (; i + 16 <= logits.Length; i += 16)
        {
            var weight = FloatMath.Exp((Vector512.Create(logits.Slice(i, 16)) - shift) * scale);
            weight.CopyTo(weights, i);
            sums += VectorMath.Fold(weight);
        }
        if (i < logits.Length)
        {
            Span<float> rest = stackalloc float[16];
            rest.Fill(float.NegativeInfinity);
            logits[i..].CopyTo(rest);
            var weight = FloatMath.Exp((Vector512.Create<float>(rest) - shift) * scale);
            weight.CopyTo(weights, i);
            sums += VectorMath.Fold(weight);
        }
        return Vector512.Sum(sums);
    }

    int Draw(double total, double uniform)
    {
        var nucleus = Nucleus.Of(weights, vocabulary, total, options.TopK, options.TopP, room);
        return nucleus.At(weights, nucleus.Mass * uniform);
    }
}
