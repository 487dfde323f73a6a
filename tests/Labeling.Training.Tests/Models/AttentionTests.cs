using Labeling.Training.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Models;

/// <summary>Attention in bfloat16 against softmax(q·Kᵀ/√d)·V written down in float32.</summary>
public sealed class AttentionTests
{
    const int Batch = 2, Heads = 3, Size = 16;

    // Less than a block of queries, several whole blocks and one that is not whole, with several sequences in a row or without.
    [Theory]
    [InlineData(50, false)]
    [InlineData(300, false)]
    [InlineData(50, true)]
    [InlineData(300, true)]
    public void Half_precision_gives_the_values_and_gradients_of_the_formula(int time, bool packed)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var segments = (arange(time) / 20).floor().to_type(ScalarType.Int64).unsqueeze(0).expand(Batch, time).contiguous();
        var config = ModelConfig.GptNeoX(50, Heads * Size, 1, Heads, 512);
        var plan = packed ? AttentionPlan.Packed(segments, null, null) : AttentionPlan.Make(config, zeros(Batch, time, ScalarType.Int64), null, null, null, null);
        var visible = ones(time, time, ScalarType.Bool).tril();
        if (packed) visible = visible.logical_and(segments[0].unsqueeze(1).eq(segments[0].unsqueeze(0)));

        var inputs = Enumerable.Range(0, 3).Select(_ => randn([Batch, Heads, time, Size], generator: generator).bfloat16()).ToList();
        var upstream = randn([Batch, Heads, time, Size], generator: generator).bfloat16();
        var exact = inputs.Select(t => t.@float().requires_grad_(true)).ToList();
        var scores = exact[0].matmul(exact[1].transpose(2, 3)) / Math.Sqrt(Size);
        var expected = scores.masked_fill(visible.logical_not(), double.NegativeInfinity).softmax(-1).matmul(exact[2]);
        expected.backward([upstream.@float()]);

        var half = inputs.Select(t => t.detach().clone().requires_grad_(true)).ToList();
        var actual = Attention.Apply(half[0], half[1], half[2], plan);
        actual.backward([upstream]);

        Assert.Equal(ScalarType.BFloat16, actual.dtype);
        Near("values", expected, actual);
        foreach (var (name, a, b) in new[] { ("queries", exact[0], half[0]), ("keys", exact[1], half[1]), ("values", exact[2], half[2]) }) Near("gradient of the " + name, a.grad!, b.grad!);
    }

    /// <summary>Within a hundredth of the norm and, at its worst place, of the largest: eight bits of mantissa keep 0.4 % of a number.</summary>
    static void Near(string what, Tensor expected, Tensor actual)
    {
        var difference = actual.@float() - expected;
        Assert.InRange(difference.norm().ToDouble() / expected.norm().ToDouble(), 0, 0.01);
        Assert.True(difference.abs().max().ToDouble() <= 0.02 * expected.abs().max().ToDouble(), what);
    }
}
