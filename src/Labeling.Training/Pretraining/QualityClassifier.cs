using Labeling.Training.Runs;

namespace Labeling.Training.Pretraining;

/// <summary>A document's features: hashed word n-grams with log(1 + count), scaled to length 1.</summary>
/// <param name="Index">Places in the table.</param>
/// <param name="Value">Their values.</param>
internal sealed record HashedFeatures(int[] Index, float[] Value)
{
    /// <summary>Features of a text.</summary>
    /// <param name="text">The document.</param>
    /// <param name="longest">Grams of 1 to this many words.</param>
    /// <param name="bits">The table has 2^bits places; grams that meet in one are not told apart.</param>
    public static HashedFeatures Of(string text, int longest, int bits)
    {
        var counts = new SortedDictionary<int, int>();
        for (var length = 1; length <= longest; length++)
        {
            foreach (var gram in WordGrams.Hashes(text, length))
            {
                var place = (int)(gram >> (64 - bits));
                counts[place] = counts.GetValueOrDefault(place) + 1;
            }
        }
        var norm = Math.Sqrt(counts.Values.Sum(c => Math.Pow(Math.Log(1 + c), 2)));
        return new HashedFeatures([.. counts.Keys], [.. counts.Values.Select(c => (float)(Math.Log(1 + c) / norm))]);
    }
}

/// <summary>
/// Logistic regression that tells good documents from raw ones (Brown et al. 2020, arXiv 2005.14165, appendix A), learned with AdaGrad (Duchi et al. 2011).
/// Both classes weigh the same however many documents they have, so 0.5 is where a document looks as much like the one as like the other.
/// </summary>
internal sealed class QualityClassifier
{
    private const double LearningRate = 0.5;
    private const double L2 = 1e-5;

    private readonly float[] weights;
    private readonly float[] squares;
    private double bias;
    private double biasSquares;

    private QualityClassifier(int bits) => (weights, squares) = (new float[1 << bits], new float[1 << bits]);

    /// <summary>Learns from documents of both kinds.</summary>
    public static QualityClassifier Train(IReadOnlyList<HashedFeatures> good, IReadOnlyList<HashedFeatures> raw, int bits, int epochs, long seed)
    {
        var classifier = new QualityClassifier(bits);
        var all = (double)(good.Count + raw.Count);
        for (var epoch = 0; epoch < epochs; epoch++)
        {
            foreach (var i in Seeds.Permutation(good.Count + raw.Count, Seeds.Derive(seed, epoch)))
            {
                var isGood = i < good.Count;
                classifier.Learn(isGood ? good[i] : raw[i - good.Count], isGood ? 1 : 0, all / (2 * (isGood ? good.Count : raw.Count)));
            }
        }
        return classifier;
    }

    /// <summary>Probability that a document is one of the good ones, 0 to 1.</summary>
    public double Score(HashedFeatures document)
    {
        var sum = bias;
        for (var i = 0; i < document.Index.Length; i++)
        {
            sum += weights[document.Index[i]] * document.Value[i];
        }
        return 1 / (1 + Math.Exp(-sum));
    }

    private void Learn(HashedFeatures document, double label, double weight)
    {
        var error = weight * (Score(document) - label);
        for (var i = 0; i < document.Index.Length; i++)
        {
            var place = document.Index[i];
            var gradient = (float)((error * document.Value[i]) + (L2 * weights[place]));
            squares[place] += gradient * gradient;
            weights[place] -= (float)(LearningRate * gradient / (Math.Sqrt(squares[place]) + 1e-8));
        }
        biasSquares += error * error;
        bias -= LearningRate * error / (Math.Sqrt(biasSquares) + 1e-8);
    }
}
