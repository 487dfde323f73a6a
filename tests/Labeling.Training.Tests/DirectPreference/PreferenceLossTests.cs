using Labeling.Training.DirectPreference;
using Labeling.Training.Native;
using Labeling.Training.RewardModeling;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.DirectPreference;

/// <summary>Values of the published formulas, worked out by hand.</summary>
public class PreferenceLossTests
{
    public PreferenceLossTests() => LibTorch.Initialize();

    private static double Loss(float[] logRatios, int[] ranks, double beta = 1, string loss = "dpo", double smoothing = 0, double margin = 0, int? strength = null)
    {
        using var scope = NewDisposeScope();
        var pairs = RankingLoss.Pairs(ranks);
        return PreferenceLoss.Compute(tensor(logRatios), pairs, PreferenceLoss.Margins(ranks, pairs, strength, margin), 1, beta, loss, smoothing).item<float>();
    }

    [Theory]
    [InlineData(0f, 0.693147)]
    [InlineData(1f, 0.313262)]
    [InlineData(2f, 0.126928)]
    [InlineData(0.5f, 0.474077)]
    public void Dpo_of_one_pair(float difference, double expected)
    {
        Assert.Equal(expected, Loss([difference, 0], [1, 2]), 1e-5);
        // β multiplies the log-ratio.
        Assert.Equal(expected, Loss([10 * difference, 0], [1, 2], beta: 0.1), 1e-5);
    }

    [Fact]
    public void Where_policy_and_reference_agree_nothing_is_won_and_the_gradient_is_half_of_beta()
    {
        using var scope = NewDisposeScope();
        var logRatios = tensor(new float[] { 0, 0 }, requires_grad: true);
        var loss = PreferenceLoss.Compute(logRatios, RankingLoss.Pairs([1, 2]), [0], 1, 0.1);
        Assert.Equal(Math.Log(2), loss.item<float>(), 1e-6);
        loss.backward();
        // dL/dΔ = −β·σ(0).
        Assert.Equal([-0.05f, 0.05f], logRatios.grad!.data<float>().ToArray());
    }

    [Fact]
    public void All_pairs_of_a_ranking_are_averaged_and_ties_left_out()
    {
        Assert.Equal(0.251150, Loss([1, 0, -1], [1, 2, 3]), 1e-5);
        // Only the pairs with the last answer count: differences 2 and 1.
        Assert.Equal((0.126928 + 0.313262) / 2, Loss([1, 0, -1], [1, 1, 2]), 1e-5);
    }

    [Fact]
    public void Conservative_dpo_mixes_both_directions_and_has_its_minimum_at_the_believed_odds()
    {
        // 0.8·0.313262 + 0.2·1.313262
        Assert.Equal(0.513262, Loss([1, 0], [1, 2], smoothing: 0.2), 1e-5);
        var best = MathF.Log(0.8f / 0.2f);
        Assert.True(Loss([best, 0], [1, 2], smoothing: 0.2) < Loss([best + 0.1f, 0], [1, 2], smoothing: 0.2));
        Assert.True(Loss([best, 0], [1, 2], smoothing: 0.2) < Loss([best - 0.1f, 0], [1, 2], smoothing: 0.2));
    }

    [Theory]
    [InlineData(0f, 0.1, 25)]
    [InlineData(5f, 0.1, 0)]
    [InlineData(3f, 0.5, 4)]
    [InlineData(-1f, 0.25, 9)]
    public void Ipo_is_the_squared_distance_to_one_over_two_beta(float difference, double beta, double expected) =>
        Assert.Equal(expected, Loss([difference, 0], [1, 2], beta, "ipo"), 1e-4);

    [Fact]
    public void A_margin_moves_the_wanted_difference_by_itself()
    {
        // Strength 4 asks for the whole margin: −log σ(2 − 1); strength 2 for a third of it: 1.5/3 = 0.5; strength 1 and none for nothing.
        Assert.Equal(0.313262, Loss([2, 0], [1, 2], margin: 1, strength: 4), 1e-5);
        Assert.Equal(0.474077, Loss([1, 0], [1, 2], margin: 1.5, strength: 2), 1e-5);
        Assert.Equal(0.126928, Loss([2, 0], [1, 2], margin: 1, strength: 1), 1e-5);
        Assert.Equal(0.126928, Loss([2, 0], [1, 2], margin: 1), 1e-5);
        // IPO sees it in log-ratios: h = 3 − 0.5/0.5 = 2, target 1.
        Assert.Equal(1, Loss([3, 0], [1, 2], 0.5, "ipo", margin: 0.5, strength: 4), 1e-5);
    }

    [Fact]
    public void Margins_of_a_ranking_follow_the_distance_in_rank()
    {
        int[] ranks = [1, 2, 4];
        // Pairs (1,2), (1,4), (2,4) of span 3.
        Assert.Equal([1f, 3f, 2f], PreferenceLoss.Margins(ranks, RankingLoss.Pairs(ranks), 4, 3));
    }
}
