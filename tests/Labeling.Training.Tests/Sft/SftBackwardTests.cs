using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Sft;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Sft;

/// <summary>However a step is calculated, its loss and gradients are those of the mean over all its supervised tokens.</summary>
public sealed class SftBackwardTests : IDisposable
{
    readonly DisposeScope scope = NewDisposeScope();
    readonly CausalLm model = CausalLm.New(ModelConfig.GptNeoX(50, 32, 2, 4, 24), 1);

    // Very different numbers of supervised tokens: a mean of means would be another number.
    static List<Sequence> Batch =>
    [
        Row(20, 2), Row(5, 4), Row(9, 3), Row(14, 13), Row(17, 1), new Sequence([.. Enumerable.Range(3, 12)], 2) { Only = [2, 3, 8, 9, 10] }, Row(3, 1),
    ];

    static Sequence Row(int length, int from) => new([.. Enumerable.Range(0, length).Select(t => 2 + (((length * 13) + (t * 5)) % 47))], from);

    public void Dispose()
    {
        model.Dispose();
        scope.Dispose();
    }

    /// <summary>The same loss written down without any of the trainer's batching: one row at a time, summed, divided by the number of tokens.</summary>
    (double Loss, Dictionary<string, Tensor> Gradients) Reference()
    {
        var total = zeros([]);
        var count = 0;
        foreach (var row in Batch)
        {
            var log = nn.functional.log_softmax(model.Logits(model.Hidden(tensor(row.Ids.Select(i => (long)i).ToArray(), [1, row.Ids.Length]))), -1);
            foreach (var t in row.Only ?? Enumerable.Range(row.From, row.Ids.Length - row.From))
            {
                total = total - log[0, t - 1, row.Ids[t]];
                count++;
            }
        }
        (total / count).backward();
        return ((total / count).item<float>(), Gradients());
    }

    Dictionary<string, Tensor> Gradients()
    {
        var gradients = model.Parameters.ToDictionary(p => p.Key, p => p.Value.grad!.clone());
        foreach (var p in model.Parameters.Values) p.grad = null;
        return gradients;
    }

    [Theory]
    [InlineData(0, false)]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(3, false)]
    [InlineData(7, false)]
    [InlineData(0, true)]
    [InlineData(3, true)]
    public void Micro_batches_and_packing_change_neither_loss_nor_gradients(int microBatch, bool packing)
    {
        var (expected, gradients) = Reference();
        var (loss, _) = SftStage.Backward(model, Batch, new SftHyperparameters { MicroBatchSize = microBatch, Packing = packing }, padId: 0, seed: 1, step: 1);
        Assert.Equal(expected, loss, 1e-5);
        foreach (var (name, gradient) in Gradients())
            Assert.True(gradient.allclose(gradients[name], 1e-3, 1e-6), $"{name}: {(gradient - gradients[name]).abs().max().ToDouble()}");
    }

    [Fact]
    public void What_fills_unused_places_changes_nothing()
    {
        SftStage.Backward(model, Batch, new SftHyperparameters(), padId: 0, seed: 1, step: 1);
        var gradients = Gradients();
        SftStage.Backward(model, Batch, new SftHyperparameters(), padId: 41, seed: 1, step: 1);
        foreach (var (name, gradient) in Gradients()) Assert.True(gradient.equal(gradients[name]).all().ToBoolean(), name);
    }

    [Fact]
    public void Mixed_in_text_leaves_the_rest_of_the_weight_to_the_demonstrations()
    {
        SftStage.Backward(model, Batch, new SftHyperparameters(), padId: 0, seed: 1, step: 1);
        var gradients = Gradients();
        SftStage.Backward(model, Batch, new SftHyperparameters { PretrainingMix = 0.1 }, padId: 0, seed: 1, step: 1);
        foreach (var (name, gradient) in Gradients()) Assert.True(gradient.allclose(gradients[name] * 0.9, 1e-4, 1e-7), name);
    }

    [Fact]
    public void Dropout_follows_from_the_seed_alone()
    {
        double Loss(long seed)
        {
            var (loss, _) = SftStage.Backward(model, Batch, new SftHyperparameters { Dropout = 0.2, MicroBatchSize = 3 }, padId: 0, seed, step: 1);
            Gradients();
            return loss;
        }
        Assert.Equal(Loss(5), Loss(5));
        Assert.NotEqual(Loss(5), Loss(6));
    }
}
