using Labeling.Training.Models;
using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Tests.Models;

/// <summary>Norms and their gradients against the formulas in float64, differentiated by libtorch.</summary>
public sealed class NormRowsTests
{
    [Theory]
    [InlineData(1, 32)]
    [InlineData(70, 96)]
    [InlineData(33, 45)]
    [InlineData(5, 7)]
    public void Norms_are_the_formulas(int rows, int columns)
    {
        foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            foreach (var centered in new[] { true, false }) Check(rows, columns, centered, type);
        }
    }

    static void Check(int rows, int columns, bool centered, ScalarType type)
    {
        const double Epsilon = 1e-5;
        using var scope = NewDisposeScope();
        using var generator = new Generator(4);
        // Far from zero, where a variance that is calculated as a difference would have lost its digits.
        var x = (randn([2, rows, columns], generator: generator) + (centered ? 30 : 0.5)).to_type(type);
        var (weight, bias) = (randn([columns], generator: generator), randn([columns], generator: generator));
        var upstream = randn([2, rows, columns], generator: generator).to_type(type);
        Tensor Exact(Tensor t) => t.to_type(ScalarType.Float64).requires_grad_(true);
        var (exactX, exactWeight, exactBias) = (Exact(x), Exact(weight), Exact(bias));
        var expected = centered
            ? F.layer_norm(exactX, [columns], exactWeight, exactBias, Epsilon)
            : exactX / (exactX.square().mean([-1], keepdim: true) + Epsilon).sqrt() * exactWeight;
        expected.backward([upstream.to_type(ScalarType.Float64)]);

        var (ownX, ownWeight, ownBias) = (x.detach().requires_grad_(true), weight.detach().requires_grad_(true), bias.detach().requires_grad_(true));
        var actual = NormRows.Apply(ownX, ownWeight, centered ? ownBias : null, Epsilon);
        AutogradFunction.RunBackward(actual, upstream);

        Assert.Equal(type, actual.dtype);
        var tolerance = type == ScalarType.Float32 ? 1e-5 : 0.01;
        Near("result", expected, actual, tolerance);
        Near("gradient of x", exactX.grad!, ownX.grad!, tolerance);
        Near("gradient of the weight", exactWeight.grad!, ownWeight.grad!, tolerance);
        if (centered) Near("gradient of the bias", exactBias.grad!, ownBias.grad!, tolerance);
    }

    static void Near(string what, Tensor expected, Tensor actual, double tolerance)
    {
        var (difference, largest) = ((actual.to_type(ScalarType.Float64) - expected).abs().max().ToDouble(), expected.abs().max().ToDouble());
        Assert.True(difference <= tolerance * Math.Max(1, largest), $"{what}: {difference} of {largest}");
    }
}
