using Labeling.Training.Models;
using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Models;

/// <summary>Attention and its gradients against softmax(q·Kᵀ/√d + mask)·V written down in float64 and differentiated by libtorch.</summary>
public sealed class AttentionTests
{
    public enum Hidden { CausallyOnly, SeveralSequences, LeftPadding, SlidingWindow, Alibi }

    /// <summary>Less than a tile of queries, whole blocks and others; head sizes that fill a vector and others; keys shared by several heads or not.</summary>
    public static TheoryData<int, int, int, int, Hidden, ScalarType> Cases()
    {
        var cases = new TheoryData<int, int, int, int, Hidden, ScalarType>();
        foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            foreach (var hidden in Enum.GetValues<Hidden>()) cases.Add(50, 4, 2, 64, hidden, type);
            foreach (var time in new[] { 1, 7, 8, 31, 32, 33, 300 }) cases.Add(time, 3, 3, 32, Hidden.CausallyOnly, type);
            foreach (var size in new[] { 1, 8, 20, 80, 128 }) cases.Add(40, 2, 1, size, Hidden.LeftPadding, type);
        }
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Values_and_gradients_are_those_of_the_formula(int time, int heads, int keyHeads, int size, Hidden hidden, ScalarType type)
    {
        const int Batch = 2;
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var ids = zeros(Batch, time, ScalarType.Int64);
        var segments = (arange(time) / 20).floor().to_type(ScalarType.Int64).unsqueeze(0).expand(Batch, time).contiguous();
        var real = ones(Batch, time, ScalarType.Bool);
        if (hidden == Hidden.LeftPadding) real[0, ..7] = false;
        var slopes = hidden == Hidden.Alibi ? Alibi.Slopes(heads) : null;
        int? window = hidden == Hidden.SlidingWindow ? 9 : null;
        var config = ModelConfig.GptNeoX(50, heads * size, 1, heads, 512);
        var plan = hidden == Hidden.SeveralSequences
            ? AttentionPlan.Packed(segments, slopes, window)
            : AttentionPlan.Make(config, ids, hidden == Hidden.LeftPadding ? real : null, null, slopes, window);

        var distance = (arange(time).unsqueeze(1) - arange(time).unsqueeze(0)).to_type(ScalarType.Int64);
        var visible = distance.ge(0).expand(Batch, 1, time, time);
        if (hidden == Hidden.SeveralSequences) visible = visible.logical_and(segments.view(Batch, 1, time, 1).eq(segments.view(Batch, 1, 1, time)));
        if (hidden == Hidden.LeftPadding) visible = visible.logical_and(real.view(Batch, 1, 1, time)).logical_or(distance.eq(0));
        if (window is { } last) visible = visible.logical_and(distance.lt(last));
        var bias = zeros(1, heads, time, time, ScalarType.Float64);
        if (slopes is not null) bias = tensor(slopes).to_type(ScalarType.Float64).view(1, heads, 1, 1) * -distance;

        // Laid out as projections leave them: token after token.
        Tensor Drawn(int count) => randn([Batch, time, count, size], generator: generator).to_type(type).transpose(1, 2);
        Tensor[] inputs = [Drawn(heads), Drawn(keyHeads), Drawn(keyHeads)];
        var upstream = randn([Batch, time, heads * size], generator: generator).to_type(type);
        var exact = inputs.Select(t => t.to_type(ScalarType.Float64).requires_grad_(true)).ToArray();
        var (keys, values) = (exact[1].repeat_interleave(heads / keyHeads, 1), exact[2].repeat_interleave(heads / keyHeads, 1));
        var scores = (exact[0].matmul(keys.transpose(2, 3)) / Math.Sqrt(size) + bias).masked_fill(visible.logical_not(), double.NegativeInfinity);
        var expected = scores.softmax(-1).matmul(values).transpose(1, 2).reshape(Batch, time, heads * size);
        expected.backward([upstream.to_type(ScalarType.Float64)]);

        var own = inputs.Select(t => t.detach().requires_grad_(true)).ToArray();
        var actual = Attention.Apply(own[0], own[1], own[2], plan);
        AutogradFunction.RunBackward(actual, upstream);

        Assert.Equal(type, actual.dtype);
        var tolerance = type == ScalarType.Float32 ? 2e-6 : 0.005;
        Near("values", expected, actual, tolerance);
        Near("gradient of the queries", exact[0].grad!, own[0].grad!, tolerance);
        Near("gradient of the keys", exact[1].grad!, own[1].grad!, tolerance);
        Near("gradient of the values", exact[2].grad!, own[2].grad!, tolerance);
    }

    [Theory]
    [InlineData(32, ScalarType.Float32)]
    [InlineData(20, ScalarType.Float32)]
    [InlineData(64, ScalarType.BFloat16)]
    [InlineData(20, ScalarType.BFloat16)]
    public void Queries_keys_and_values_may_lie_in_one_tensor_and_have_biases(int size, ScalarType type)
    {
        const int Batch = 3, Time = 21, Heads = 2;
        using var scope = NewDisposeScope();
        using var generator = new Generator(2);
        var plan = AttentionPlan.Make(ModelConfig.GptNeoX(50, Heads * size, 1, Heads, 512), zeros(Batch, Time, ScalarType.Int64), null, null, null, null);
        var (all, bias) = (randn([Batch, Time, 3 * Heads * size], generator: generator).to_type(type), randn([3 * Heads * size], generator: generator));
        var upstream = randn([Batch, Time, Heads * size], generator: generator).to_type(type);
        (Tensor, Tensor, Tensor) Split(Tensor t)
        {
            var parts = t.view(t.shape[0], t.shape[1], 3, Heads, size).unbind(2);
            return (parts[0].transpose(1, 2), parts[1].transpose(1, 2), parts[2].transpose(1, 2));
        }
        var (exact, exactBias) = (all.to_type(ScalarType.Float64).requires_grad_(true), bias.to_type(ScalarType.Float64).requires_grad_(true));
        var (query, key, value) = Split(exact + exactBias);
        var hidden = ones(Time, Time, ScalarType.Bool).triu(1);
        var weights = (query.matmul(key.transpose(2, 3)) / Math.Sqrt(size)).masked_fill(hidden, double.NegativeInfinity).softmax(-1);
        var expected = weights.matmul(value).transpose(1, 2).reshape(Batch, Time, -1);
        expected.backward([upstream.to_type(ScalarType.Float64)]);

        var (own, ownBias) = (all.detach().requires_grad_(true), bias.detach().requires_grad_(true));
        var actual = Attention.Apply(own, ownBias, Split, plan);
        AutogradFunction.RunBackward(actual, upstream);

        var tolerance = type == ScalarType.Float32 ? 2e-6 : 0.005;
        Near("values", expected, actual, tolerance);
        Near("gradient", exact.grad!, own.grad!, tolerance);
        Near("gradient of the biases", exactBias.grad!, ownBias.grad!, 2 * tolerance);
    }

    [Fact]
    public void A_number_that_is_none_stays_one()
    {
        using var scope = NewDisposeScope();
        var plan = AttentionPlan.Make(ModelConfig.GptNeoX(50, 32, 1, 1, 512), zeros(1, 4, ScalarType.Int64), null, null, null, null);
        var keys = ones(1, 1, 4, 32);
        keys[0, 0, 2, 5] = float.NaN;

        var mixed = Attention.Apply(ones(1, 1, 4, 32), keys, ones(1, 1, 4, 32), plan);

        Assert.Equal([false, false, true, true], mixed.isnan().any(2, false).view(-1).data<bool>().ToArray());
    }

    /// <summary>Within a share of the norm and, at its worst place, of four times the largest: eight bits of mantissa keep 0.4 % of a number.</summary>
    static void Near(string what, Tensor expected, Tensor actual, double tolerance)
    {
        var difference = actual.to_type(ScalarType.Float64) - expected;
        var (size, largest) = (expected.norm().ToDouble(), expected.abs().max().ToDouble());
        Assert.True(difference.norm().ToDouble() <= tolerance * Math.Max(size, 1), $"{what}: {difference.norm().ToDouble()} of {size}");
        Assert.True(difference.abs().max().ToDouble() <= 4 * tolerance * Math.Max(largest, 1), $"{what}: {difference.abs().max().ToDouble()} of {largest}");
    }
}
