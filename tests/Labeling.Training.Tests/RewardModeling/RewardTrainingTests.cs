using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.RewardModeling;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.RewardModeling;

/// <summary>However a step is divided, its loss and gradients are those of the mean over its rankings.</summary>
public sealed class RewardTrainingTests : IDisposable
{
    private readonly DisposeScope scope = NewDisposeScope();
    private readonly RewardModel model;

    public RewardTrainingTests()
    {
        using var policy = CausalLm.New(ModelConfig.GptNeoX(50, 32, 2, 4, 24), 1);
        model = RewardModel.From(policy, 2);
    }

    public void Dispose()
    {
        model.Dispose();
        scope.Dispose();
    }

    /// <summary>Rankings of 2 to 4 answers of very different lengths, one with a tie.</summary>
    private static List<Ranking> Batch => [Of([1, 2], 20, 5), Of([2, 1, 2, 3], 3, 9, 14, 7), Of([1, 2, 3], 11, 23, 4), Of([2, 1], 6, 6), Of([1, 2, 3, 4], 8, 17, 2, 12)];

    private static Ranking Of(int[] ranks, params int[] lengths) => new(new RankingRow("r", [], [], "here"),
        [.. lengths.Select((length, a) => Enumerable.Range(0, length).Select(t => 2 + (((length * 13) + (a * 7) + (t * 5)) % 47)).ToArray())], RankingLoss.Pairs(ranks));

    private Dictionary<string, Tensor> Gradients()
    {
        var gradients = model.Parameters.Where(p => p.Value.grad is not null).ToDictionary(p => p.Key, p => p.Value.grad!.clone());
        foreach (var p in model.Parameters.Values) p.grad = null;
        return gradients;
    }

    private (double Loss, float[] Scores, Dictionary<string, Tensor> Gradients) Backward(int micro)
    {
        var (loss, scores) = RewardTraining.Backward(model, Batch, new RewardHyperparameters { MicroBatchSize = micro }, padId: 0, seed: 1, step: 1);
        return (loss, scores.data<float>().ToArray(), Gradients());
    }

    /// <summary>Norm of the difference over the norm of the whole.</summary>
    private static double Difference(Dictionary<string, Tensor> a, Dictionary<string, Tensor> b)
    {
        Assert.Equal(a.Keys.Order(), b.Keys.Order());
        return Math.Sqrt(a.Sum(g => (g.Value - b[g.Key]).square().sum().ToDouble()) / a.Values.Sum(g => g.square().sum().ToDouble()));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Micro_batches_change_neither_loss_nor_scores_nor_gradients(int micro)
    {
        var (loss, scores, gradients) = Backward(0);
        var divided = Backward(micro);
        Assert.Equal(loss, divided.Loss, 1e-6);
        Assert.Equal(scores.Length, divided.Scores.Length);
        Assert.All(scores.Zip(divided.Scores), s => Assert.Equal(s.First, s.Second, 1e-5));
        Assert.InRange(Difference(gradients, divided.Gradients), 0, 1e-6);
    }

    /// <summary>InstructGPT's equation 1 written down answer by answer, without padding, batches or weights.</summary>
    [Fact]
    public void The_loss_is_the_mean_over_rankings_of_the_mean_over_their_pairs()
    {
        var total = zeros([]);
        foreach (var ranking in Batch)
        {
            var scores = ranking.Answers.Select(a => model.Rewards(tensor(a.Select(i => (long)i).ToArray(), [1, a.Length])).reshape([])).ToList();
            var pairs = ranking.Pairs.Select(p => -(scores[p.Better] - scores[p.Worse]).sigmoid().log()).ToList();
            total += pairs.Aggregate((a, b) => a + b) / pairs.Count / Batch.Count;
        }
        total.backward();
        var expected = Gradients();
        var (loss, _, gradients) = Backward(2);
        Assert.Equal(total.item<float>(), loss, 1e-5);
        Assert.InRange(Difference(expected, gradients), 0, 1e-5);
    }
}
