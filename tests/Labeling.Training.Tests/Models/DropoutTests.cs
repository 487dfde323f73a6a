using Labeling.Training.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Models;

public sealed class DropoutTests : IDisposable
{
    readonly DisposeScope scope = NewDisposeScope();

    public void Dispose() => scope.Dispose();

    [Fact]
    public void Numbers_are_dropped_or_scaled_up_by_the_share_that_stays()
    {
        using var dropout = new Dropout(0.2, seed: 4);
        var values = dropout.Residual(ones(100_000)).data<float>().ToArray();
        Assert.Equal([0f, 1.25f], values.Distinct().Order());
        // Standard error of the share is 0.0013.
        Assert.InRange(values.Count(v => v == 0) / 100_000.0, 0.195, 0.205);
        Assert.InRange(values.Average(), 0.99, 1.01);
    }

    [Fact]
    public void The_seed_decides_and_nothing_drops_without_being_told_to()
    {
        using var model = CausalLm.New(ModelConfig.GptNeoX(50, 32, 2, 4, 16), 1);
        using var noGrad = no_grad();
        var ids = arange(2, 14, ScalarType.Int64).view(1, -1);
        Tensor Hidden(double share, long seed)
        {
            using var dropout = new Dropout(share, seed);
            return model.Hidden(ids, dropout: dropout);
        }
        bool Same(Tensor a, Tensor b) => a.equal(b).all().ToBoolean();
        Assert.True(Same(Hidden(0.2, 1), Hidden(0.2, 1)));
        Assert.False(Same(Hidden(0.2, 1), Hidden(0.2, 2)));
        Assert.True(Same(Hidden(0, 1), model.Hidden(ids)));
        // Everything but the token's own embedding is gone when nearly all is dropped: the same token gives the same state at every position.
        var same = full(1, 3, 5, ScalarType.Int64);
        using var all = new Dropout(0.999999, 1);
        var states = model.Hidden(same, dropout: all);
        Assert.True(states[0, 0].allclose(states[0, 2]));
    }

    /// <summary>The mean over many draws of a linear function of what is dropped is its value without dropout.</summary>
    [Fact]
    public void The_mean_stays()
    {
        using var dropout = new Dropout(0.3, 9);
        var x = randn(64, generator: new Generator(1));
        var mean = zeros(64);
        for (var i = 0; i < 4000; i++) mean += dropout.Apply(x, 0.3) / 4000;
        // Standard error: |x|·√(0.3/0.7)/√4000, about 1 %.
        Assert.True((mean - x).abs().lt(x.abs() * 0.06 + 1e-6).all().ToBoolean());
    }
}
