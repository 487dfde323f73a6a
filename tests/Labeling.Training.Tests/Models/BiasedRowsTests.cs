using Labeling.Training.Models;
using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Tests.Models;

/// <summary>Activations, gates and residuals with their biases, and their gradients, against libtorch's own operators in float64.</summary>
public sealed class BiasedRowsTests
{
    /// <summary>Columns that fill the vectors and others, one row, and more than a piece of them.</summary>
    public static TheoryData<int, int, Activation, bool, ScalarType> Cases()
    {
        var cases = new TheoryData<int, int, Activation, bool, ScalarType>();
        foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            foreach (var (rows, columns) in new[] { (1, 32), (70, 96), (33, 45), (3, 7) })
            {
                foreach (var activation in Enum.GetValues<Activation>())
                {
                    cases.Add(rows, columns, activation, true, type);
                    cases.Add(rows, columns, activation, false, type);
                }
            }
        }
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Activations_of_biased_rows_are_the_formulas(int rows, int columns, Activation activation, bool biased, ScalarType type) =>
        Check(rows, columns, type, biased, (x, _, bias) => BiasedRows.Activate(activation, x, bias), (x, _, bias) => Formula(activation, bias is null ? x : x + bias));

    [Theory]
    [InlineData(70, 96)]
    [InlineData(33, 45)]
    public void Gates_are_the_formula(int rows, int columns)
    {
        foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            foreach (var activation in Enum.GetValues<Activation>())
                Check(rows, columns, type, false, (x, y, _) => BiasedRows.Gate(activation, x, y), (x, y, _) => Formula(activation, x) * y);
        }
    }

    [Theory]
    [InlineData(70, 96, true)]
    [InlineData(33, 45, true)]
    [InlineData(33, 45, false)]
    public void A_branch_joins_the_residual_with_its_bias(int rows, int columns, bool biased)
    {
        foreach (var type in new[] { ScalarType.Float32, ScalarType.BFloat16 })
            Check(rows, columns, type, biased, (x, y, bias) => BiasedRows.Add(y, x, bias), (x, y, bias) => bias is null ? x + y : x + y + bias);
    }

    [Theory]
    [InlineData(Activation.GeluTanh)]
    [InlineData(Activation.Silu)]
    public void Far_from_zero_an_activation_is_its_limit(Activation activation)
    {
        using var scope = NewDisposeScope();
        var x = tensor(new float[] { -1e9f, -300, -30, 30, 300, 1e9f, float.NaN }).requires_grad_(true);

        var y = BiasedRows.Activate(activation, x, null);
        AutogradFunction.RunBackward(y, ones_like(y));

        Assert.Equal([0, 0, 0, 30, 300, 1e9f], y.data<float>().ToArray()[..6].Select(v => MathF.Abs(v) < 1e-9 ? 0 : v));
        Assert.Equal([0, 0, 0, 1, 1, 1], x.grad!.data<float>().ToArray()[..6].Select(v => MathF.Abs(v) < 1e-9 ? 0 : v));
        Assert.True(float.IsNaN(y.data<float>()[6]) && float.IsNaN(x.grad!.data<float>()[6]));
    }

    static Tensor Formula(Activation activation, Tensor x) => activation switch
    {
        Activation.GeluTanh => F.gelu(x, TorchSharp.Modules.GELU.Approximate.tanh),
        Activation.Gelu => F.gelu(x),
        Activation.Relu => F.relu(x),
        _ => F.silu(x),
    };

    static void Check(int rows, int columns, ScalarType type, bool biased, Func<Tensor, Tensor, Tensor?, Tensor> own, Func<Tensor, Tensor, Tensor?, Tensor> formula)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(3);
        Tensor Drawn(params long[] shape) => (randn(shape, generator: generator) * 2).to_type(type);
        var (x, y, upstream, b) = (Drawn(2, rows, columns), Drawn(2, rows, columns), Drawn(2, rows, columns), randn([columns], generator: generator));
        Tensor Exact(Tensor t) => t.to_type(ScalarType.Float64).requires_grad_(true);
        var (exactX, exactY, exactB) = (Exact(x), Exact(y), biased ? Exact(b) : null);
        var expected = formula(exactX, exactY, exactB);
        expected.backward([upstream.to_type(ScalarType.Float64)]);

        var (ownX, ownY, ownB) = (x.detach().requires_grad_(true), y.detach().requires_grad_(true), biased ? b.detach().requires_grad_(true) : null);
        var actual = own(ownX, ownY, ownB);
        AutogradFunction.RunBackward(actual, upstream);

        Assert.Equal(type, actual.dtype);
        var tolerance = type == ScalarType.Float32 ? 2e-6 : 0.005;
        Near("result", expected, actual, tolerance);
        Near("gradient of x", exactX.grad!, ownX.grad!, tolerance);
        if (exactY.grad is { } second) Near("gradient of y", second, ownY.grad!, tolerance);
        if (exactB is not null) Near("gradient of the bias", exactB.grad!, ownB!.grad!, tolerance);
    }

    static void Near(string what, Tensor expected, Tensor actual, double tolerance)
    {
        var (difference, largest) = ((actual.to_type(ScalarType.Float64) - expected).abs().max().ToDouble(), expected.abs().max().ToDouble());
        Assert.True(difference <= tolerance * Math.Max(1, largest), $"{what}: {difference} of {largest}");
    }
}
