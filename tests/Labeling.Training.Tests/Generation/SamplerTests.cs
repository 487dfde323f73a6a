using CsCheck;
using Labeling.Training.Generation;
using Labeling.Training.Runs;

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
    public void Nucleus_of_a_large_vocabulary_is_the_one_that_sorting_gives() =>
        Gen.Select(Gen.Float[-3, 3], Gen.Float[0.001f, 12], Gen.Double[0.05, 0.999], Gen.Int[0, 3000], Gen.Int[1, 1_000_000]).Sample((shift, spread, p, k, seed) =>
        {
            // From flat to peaked; equal logits at every scale.
            var logits = Enumerable.Range(0, 5003).Select(i => shift - spread * MathF.Round((float)Philox.Uniform((ulong)seed, (ulong)i) * 400) / 400).ToArray();
            var probabilities = Softmax(logits);
            var order = Enumerable.Range(0, logits.Length).OrderByDescending(i => logits[i]).ThenBy(i => i).Take(k > 0 ? k : logits.Length).ToList();
            var mass = order.Sum(i => probabilities[i]);
            var (kept, reached) = (0, 0.0);
            while (kept < order.Count && reached < p * mass - 1e-9) reached += probabilities[order[kept++]];
            var sampler = new Sampler(logits.Length, new SamplingOptions(1, k, p));
            var allowed = order.Take(kept + 1).ToHashSet();
            for (var draw = 0; draw < 40; draw++) Assert.Contains(sampler.Sample(logits, draw / 40.0).Token, allowed);
            // The least likely token that is drawn at all is the border's.
            var last = sampler.Sample(logits, 1 - 1e-12).Token;
            Assert.InRange(logits[last], logits[order[kept - 1]] - 1e-6, logits[order[kept - 1]] + spread * 0.017 + 1e-6);
        }, iter: 60);

    [Fact]
    public void A_repetition_penalty_moves_the_choice_and_not_the_log_probability()
    {
        float[] logits = [2f, 1.5f, -1f, -1.2f];
        var sampler = new Sampler(4, new SamplingOptions(0, RepetitionPenalty: 2));
        var plain = Softmax(logits);
        Assert.Equal(0, sampler.Sample(logits, 0, []).Token);
        // 2 / 2 is less than 1.5; named twice it is divided once.
        var (token, logProbability) = sampler.Sample(logits, 0, [0, 0]);
        Assert.Equal(1, token);
        Assert.Equal(Math.Log(plain[1]), logProbability, 1e-6);
        // Below 0 the penalty multiplies: -2 is less than -1.2.
        var weights = new[] { 2.0, 1.5, -2, -1.2 }.Select(Math.Exp).ToArray();
        var counts = new int[4];
        var drawing = new Sampler(4, new SamplingOptions(1, RepetitionPenalty: 2));
        for (var i = 0; i < 20000; i++) counts[drawing.Sample(logits, (i + 0.5) / 20000, [2]).Token]++;
        for (var i = 0; i < 4; i++) Assert.Equal(weights[i] / weights.Sum(), counts[i] / 20000.0, 1e-4);
    }

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
    public void Where_equal_tokens_are_cut_by_k_p_counts_within_those_that_are_left()
    {
        // Of the larger one and five equal ones four are left, and three of these reach 0.7 of their mass.
        float[] logits = [1, 1, 1.5f, 1, 1, 1];
        var sampler = new Sampler(6, new SamplingOptions(TopK: 4, TopP: 0.7));
        var counts = new int[6];
        for (var i = 0; i < 10_000; i++) counts[sampler.Sample(logits, (i + 0.5) / 10_000).Token]++;
        var total = Math.Exp(0.5) + 2;
        double[] expected = [1 / total, 1 / total, Math.Exp(0.5) / total, 0, 0, 0];
        for (var i = 0; i < 6; i++) Assert.Equal(expected[i], counts[i] / 10_000.0, 1e-3);
    }

    [Fact]
    public void Greedy_takes_the_first_of_the_largest()
    {
        var (token, logProbability) = new Sampler(4, new SamplingOptions(0)).Sample([0, 3, 3, -1], 0.99);
        Assert.Equal(1, token);
        Assert.Equal(3 - Math.Log(1 + 2 * Math.Exp(3) + Math.Exp(-1)), logProbability, 1e-5);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Logits_that_are_not_finite_are_refused(float bad)
    {
        var logits = Enumerable.Range(0, 40).Select(i => i == 17 ? bad : i / 40f).ToArray();
        Assert.Throws<NonFiniteException>(() => new Sampler(40, new SamplingOptions()).Sample(logits, 0.5));
        Assert.Throws<NonFiniteException>(() => new Sampler(40, new SamplingOptions(TopP: 0.9)).Sample(logits, 0.5));
    }

    static double[] Softmax(float[] logits)
    {
        var weights = logits.Select(l => Math.Exp(l)).ToArray();
        return [.. weights.Select(w => w / weights.Sum())];
    }
}
