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
}
