using Labeling.Training.Native;
using Labeling.Training.RewardModeling;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.RewardModeling;

public class RankingLossTests
{
    public RankingLossTests() => LibTorch.Initialize();

    [Theory]
    [InlineData(0f, 0.693147)]
    [InlineData(1f, 0.313262)]
    [InlineData(2f, 0.126928)]
    [InlineData(0.5f, 0.474077)]
    public void Loss_of_one_pair(float margin, double expected)
    {
        using var scope = NewDisposeScope();
        var (loss, _) = RankingLoss.Compute(tensor(new[] { margin, 0f }), RankingLoss.Pairs([1, 2]), 1);
        Assert.Equal(expected, loss.item<float>(), 1e-5);
    }

    [Fact]
    public void All_pairs_of_three_answers()
    {
        using var scope = NewDisposeScope();
        var scores = tensor(new[] { 1f, 0f, -1f }, requires_grad: true);
        var (loss, margins) = RankingLoss.Compute(scores, RankingLoss.Pairs([1, 2, 3]), 1);
        Assert.Equal(0.251150, loss.item<float>(), 1e-5);
        Assert.Equal(3, margins.shape[0]);
        loss.backward();
        var gradient = scores.grad!.data<float>().ToArray();
        Assert.Equal(-0.129381, gradient[0], 1e-5);
        Assert.Equal(0, gradient[1], 1e-6);
        Assert.Equal(0.129381, gradient[2], 1e-5);
    }

    [Fact]
    public void Ties_are_dropped_and_rankings_count_the_same()
    {
        Assert.Equal(2, RankingLoss.Pairs([1, 2, 1]).Count);
        Assert.Empty(RankingLoss.Pairs([3, 3, 3]));
        using var scope = NewDisposeScope();
        // One ranking of 3 (all margins 0: ln 2) and one pair with margin 2: mean of the two rankings' losses.
        var pairs = RankingLoss.Pairs([1, 2, 3]).Concat(RankingLoss.Pairs([1, 2], 3)).ToList();
        var (loss, _) = RankingLoss.Compute(tensor(new[] { 0f, 0f, 0f, 2f, 0f }), pairs, 2);
        Assert.Equal((0.693147 + 0.126928) / 2, loss.item<float>(), 1e-5);
    }

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    private static float Loss(float[] scores, int[] ranks, ComparisonRules rules, int? strength = null)
    {
        using var scope = NewDisposeScope();
        return RankingLoss.Compute(tensor(scores), RankingLoss.Pairs(ranks, rules, strength), 1).Loss.item<float>();
    }

    [Fact]
    public void A_tie_that_counts_half_is_learned_as_a_coin_toss()
    {
        var rules = new ComparisonRules("half");
        Assert.Equal(0.693147, Loss([1, 1], [1, 1], rules), 1e-5);
        // Cross-entropy with probability one half at difference 1: (0.313262 + 1.313262) / 2.
        Assert.Equal(0.813262, Loss([1, 0], [1, 1], rules), 1e-5);
        Assert.Equal(0.813262, Loss([0, 1], [1, 1], rules), 1e-5);
        // Two comparisons of answer 2 with the tied ones, and the tie: three comparisons with a third of the weight each.
        Assert.Equal((0.126928 + 0.313262 + 0.813262) / 3, Loss([2, 1, 0], [1, 1, 2], rules), 1e-5);
        Assert.Equal(3, RankingLoss.Comparisons(RankingLoss.Pairs([1, 1, 2], rules, null)));
    }

    /// <summary>Rao and Kupper: P(first), P(second) and P(tie) are what the losses say, and sum to 1.</summary>
    [Theory, InlineData(0.0), InlineData(0.7), InlineData(-2.0)]
    public void A_tie_with_a_margin_is_what_the_two_wins_leave_over(double difference)
    {
        const double Margin = 0.4;
        var rules = new ComparisonRules("margin", TieMargin: Margin);
        float[] scores = [(float)difference, 0];
        var first = Math.Exp(-Loss(scores, [1, 2], rules));
        var second = Math.Exp(-Loss(scores, [2, 1], rules));
        Assert.Equal(Sigmoid(difference - Margin), first, 1e-5);
        // The loss leaves out the constant log(e^2m - 1).
        var tie = Math.Exp(-Loss(scores, [1, 1], rules)) * (Math.Exp(2 * Margin) - 1);
        Assert.Equal(1, first + second + tie, 1e-5);
    }

    [Fact]
    public void Strength_asks_for_a_margin_that_shrinks_with_the_distance_in_rank()
    {
        var rules = new ComparisonRules(StrengthMargin: 3);
        Assert.Equal([1.5f, 3f, 1.5f], RankingLoss.Pairs([1, 2, 3], rules, 4).Select(p => p.Margin));
        Assert.Equal([1f], RankingLoss.Pairs([1, 2], rules, 2).Select(p => p.Margin));
        Assert.All(RankingLoss.Pairs([1, 2, 3], rules, 1).Concat(RankingLoss.Pairs([1, 2, 3], rules, null)), p => Assert.Equal(0, p.Margin));
        Assert.Equal(0.693147, Loss([3, 0], [1, 2], rules, 4), 1e-5);
        Assert.Equal(0.313262, Loss([2, 0], [1, 2], rules, 2), 1e-5);
    }

    [Fact]
    public void Several_heads_learn_each_by_its_own_scores()
    {
        using var scope = NewDisposeScope();
        var heads = tensor(new[] { 1f, 2f, 0f, 0f, -1f, 4f }, [3, 2], requires_grad: true);
        var pairs = RankingLoss.Pairs([1, 2, 3]);
        var (loss, margins) = RankingLoss.Compute(heads, pairs, 1);
        var alone = Enumerable.Range(0, 2).Select(h => RankingLoss.Compute(heads.select(1, h), pairs, 1).Loss.item<float>());
        Assert.Equal(alone.Average(), loss.item<float>(), 1e-6);
        Assert.Equal([3, 2], margins.shape);
        loss.backward();
        Assert.Equal(-0.129381 / 2, heads.grad![0, 0].item<float>(), 1e-5);
    }
}
