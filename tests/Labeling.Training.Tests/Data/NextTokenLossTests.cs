using Labeling.Training.Data;
using Labeling.Training.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Data;

public sealed class NextTokenLossTests : IDisposable
{
    readonly DisposeScope scope = NewDisposeScope();
    readonly CausalLm model = CausalLm.New(ModelConfig.Gpt2(50, 16, 2, 2, 32) with { InitializerRange = 0.3 }, seed: 1);
    readonly Sequence[] rows = [new([1, 2, 3, 4, 5, 6, 7], 3), new([9, 8, 7], 1), new([5, 5, 5, 5, 49], 4)];

    public void Dispose()
    {
        model.Dispose();
        scope.Dispose();
    }

    Dictionary<string, Tensor> Gradients()
    {
        var gradients = model.Parameters.ToDictionary(p => p.Key, p => p.Value.grad!.clone());
        foreach (var parameter in model.Parameters.Values) parameter.grad = null;
        return gradients;
    }

    [Fact]
    public void It_is_the_mean_over_supervised_tokens()
    {
        var expected = -TokenBatch.LogProbs(TokenBatch.Logits(model, rows, padId: 0), TokenBatch.Targets(rows));
        expected.mean().backward();
        var gradients = Gradients();
        var (loss, accuracy) = NextTokenLoss.Backward(model, TokenBatch.Hidden(model, rows, 0), TokenBatch.Targets(rows));
        Assert.Equal(expected.mean().ToDouble(), loss, 1e-6);
        Assert.Equal(TokenBatch.Accuracy(TokenBatch.Logits(model, rows, padId: 0), TokenBatch.Targets(rows)), accuracy, 1e-12);
        foreach (var (name, gradient) in Gradients()) Assert.True(gradient.allclose(gradients[name], 1e-5, 1e-7), name);
    }

    [Theory]
    // One, three and four of the seven rows at once.
    [InlineData(1)]
    [InlineData(150)]
    [InlineData(249)]
    public void Chunks_change_neither_loss_nor_gradients_nor_accuracy(long chunkLogits)
    {
        var (loss, accuracy) = NextTokenLoss.Backward(model, TokenBatch.Hidden(model, rows, 0), TokenBatch.Targets(rows));
        var whole = Gradients();
        var (chunkedLoss, chunkedAccuracy) = NextTokenLoss.Backward(model, TokenBatch.Hidden(model, rows, 0), TokenBatch.Targets(rows), chunkLogits: chunkLogits);
        Assert.Equal(loss, chunkedLoss, 1e-5);
        Assert.Equal(accuracy, chunkedAccuracy, 1e-12);
        foreach (var (name, gradient) in Gradients()) Assert.True(gradient.allclose(whole[name], 1e-4, 1e-6), name);
        var (losses, evaluated) = NextTokenLoss.Evaluate(model, rows, padId: 0, accuracy: true, chunkLogits: chunkLogits);
        Assert.Equal(7, losses.shape[0]);
        Assert.Equal(loss, losses.mean().ToDouble(), 1e-5);
        Assert.Equal(accuracy, evaluated, 1e-12);
    }

    [Theory]
    [InlineData(NextTokenLoss.ChunkLogits)]
    [InlineData(150)]
    public void Padding_to_fewer_shapes_in_bfloat16_changes_nothing(long chunkLogits)
    {
        model.ComputeType = ScalarType.BFloat16;
        var (input, at) = (TokenBatch.Inputs(rows, 0), TokenBatch.PredictingPositions(rows));
        Assert.NotEqual(input.shape[1], TokenBatch.Time(model, (int)input.shape[1]));
        var hidden = model.Hidden(input).reshape(-1, 16).index_select(0, at);
        var expected = nn.functional.cross_entropy(model.Logits(hidden), TokenBatch.Targets(rows));
        expected.backward();
        var gradients = Gradients();
        var (loss, _) = NextTokenLoss.Backward(model, TokenBatch.Hidden(model, rows, 0), TokenBatch.Targets(rows), chunkLogits: chunkLogits);
        Assert.Equal(expected.ToDouble(), loss, 0.01);
        foreach (var (name, gradient) in Gradients())
        {
            var error = (gradient - gradients[name]).norm().ToDouble() / gradients[name].norm().ToDouble();
            Assert.True(error < 0.02, $"{name}: {error}");
        }
    }

    [Fact]
    public void Leaves_no_tensors_behind()
    {
        void Once()
        {
            using var inner = NewDisposeScope();
            NextTokenLoss.Backward(model, TokenBatch.Hidden(model, rows, 0), TokenBatch.Targets(rows), chunkLogits: 100);
            NextTokenLoss.Evaluate(model, rows, padId: 0, chunkLogits: 100);
        }
        Once();
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (var i = 0; i < 4; i++) Once();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
