using CsCheck;
using Labeling.Training.Generation;

namespace Labeling.Training.Tests.Generation;

public sealed class SamplerTests
{
    // Steps of a sixteenth: equal logits do occur, nearly equal ones, whose order rounding would decide, do not.
    static readonly Gen<float[]> Rows = Gen.Int[-128, 128].Select(i => i / 16f).Array[2, 40];

    [Fact]
    public void Draws_as_often_as_the_softmax_says()
    {
        float[] logits = [1.0f, 0.0f, -1.0f, 2.0f, -30f];
        var sampler = new Sampler(5, new SamplingOptions(Temperature: 0.7));
        var counts = new int[5];
        const int Draws = 40000;
        for (var i = 0; i < Draws; i++) counts[sampler.Sample(logits, Philox.Uniform(7, (ulong)i)).Token]++;
        var weights = logits.Select(l => Math.Exp(l / 0.7)).ToArray();
        for (var i = 0; i < 5; i++)
        {
            var p = weights[i] / weights.Sum();
            Assert.Equal(p, (double)counts[i] / Draws, 4 * Math.Sqrt(p * (1 - p) / Draws) + 1e-9);
        }
    }

    [Fact]
    public void Nucleus_is_exactly_the_smallest_set_that_reaches_p() =>
        Gen.Select(Rows, Gen.Double[0.01, 0.999], Gen.Int[0, 8], Gen.Double[0, 0.999999]).Sample((logits, p, k, uniform) =>
        {
            var probabilities = Softmax(logits);
            var order = Enumerable.Range(0, logits.Length).OrderByDescending(i => logits[i]).ThenBy(i => i).ToList();
            if (k > 0) order = [.. order.Take(k)];
            var mass = order.Sum(i => probabilities[i]);
            var nucleus = new HashSet<int>();
            var reached = 0.0;
            foreach (var i in order)
            {
                nucleus.Add(i);
                reached += probabilities[i] / mass;
                // On the edge rounding decides; the next one is then allowed too.
                if (reached >= p + 1e-6) break;
            }
            var (token, logProbability) = new Sampler(logits.Length, new SamplingOptions(1, k, p)).Sample(logits, uniform);
            Assert.Contains(token, nucleus);
            Assert.Equal(Math.Log(probabilities[token]), logProbability, 1e-5);
        });

    [Fact]
    public void Every_token_of_the_nucleus_can_be_drawn_in_proportion()
    {
        float[] logits = [.. new[] { 0.5, 0.25, 0.15, 0.07, 0.03 }.Select(p => (float)Math.Log(p))];
        var sampler = new Sampler(5, new SamplingOptions(TopP: 0.8));
        int Token(double uniform) => sampler.Sample(logits, uniform).Token;
        Assert.Equal([0, 0, 1, 1, 2, 2], new[] { 0, 0.5 / 0.9 - 1e-6, 0.5 / 0.9 + 1e-6, 0.75 / 0.9 - 1e-6, 0.75 / 0.9 + 1e-6, 0.999999 }.Select(Token));
        Assert.Equal(Math.Log(0.15), sampler.Sample(logits, 0.99).LogProbability, 1e-5);
    }

    [Fact]
    public void Greedy_takes_the_first_of_the_largest()
    {
        var (token, logProbability) = new Sampler(4, new SamplingOptions(0)).Sample([0, 3, 3, -1], 0.99);
        Assert.Equal(1, token);
        Assert.Equal(3 - Math.Log(1 + 2 * Math.Exp(3) + Math.Exp(-1)), logProbability, 1e-5);
    }

    static double[] Softmax(float[] logits)
    {
        var weights = logits.Select(l => Math.Exp(l)).ToArray();
        return [.. weights.Select(w => w / weights.Sum())];
    }
}
