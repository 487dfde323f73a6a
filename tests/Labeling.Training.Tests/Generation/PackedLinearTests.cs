using Labeling.Training.Generation;
using Labeling.Training.Models;
using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Tests.Generation;

public sealed unsafe class PackedLinearTests : IDisposable
{
    readonly DisposeScope scope = NewDisposeScope();
    readonly Generator random = new(5);

    public void Dispose() => scope.Dispose();

    Tensor Random(params long[] shape) => randn(shape, generator: random);

    static float* Pointer(Tensor tensor) => (float*)TensorMemory.Pointer(tensor);

    /// <summary>The result without the padding columns.</summary>
    static Tensor Apply(PackedLinear packed, Tensor x, Tensor? y = null, Activation? activation = null)
    {
        var rows = x.shape[0];
        var result = zeros(rows, packed.Stride);
        if (y is not null) result.narrow(1, 0, packed.Outputs).copy_(y);
        packed.Apply(Pointer(x), (int)x.shape[1], (int)rows, Pointer(result), activation, add: y is not null);
        return result.narrow(1, 0, packed.Outputs);
    }

    static void Close(Tensor expected, Tensor actual)
    {
        var error = (expected - actual).abs().max().ToDouble() / expected.abs().max().ToDouble();
        Assert.True(error < 1e-5, $"relative error {error}");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(8)]
    [InlineData(32)]
    [InlineData(67)]
    [InlineData(200)]
    public void Equals_libtorchs_linear(int rows)
    {
        foreach (var (inputs, outputs) in new[] { (1, 1), (24, 40), (128, 64), (130, 385), (768, 3072) })
        {
            var (weight, bias, x) = (Random(outputs, inputs), Random(outputs), Random(rows, inputs));
            using var dense = PackedLinear.Pack(new Linear("m", weight, bias));
            Close(F.linear(x, weight, bias), Apply(dense, x));
            using var conv1D = PackedLinear.Pack(new Linear("m", weight.t().contiguous(), bias, transposed: true));
            Assert.True(Apply(conv1D, x).equal(Apply(dense, x)).all().ToBoolean());
            var y = Random(rows, outputs);
            Close(y + F.linear(x, weight, bias), Apply(dense, x, y));
        }
    }

    [Fact]
    public void Bfloat16_weights_give_the_same_bits()
    {
        var weight = Random(200, 96).to(ScalarType.BFloat16).to(ScalarType.Float32);
        var x = Random(9, 96);
        using var packed = PackedLinear.Pack(new Linear("m", weight, null));
        // One weight that bfloat16 cannot hold keeps all in float32.
        using var full = PackedLinear.Pack(new Linear("m", cat([weight, full_like(weight.narrow(0, 0, 1), 1.0001)]), null));
        Assert.True(Apply(packed, x).equal(Apply(full, x).narrow(1, 0, 200)).all().ToBoolean());
        Close(F.linear(x, weight), Apply(packed, x));
    }

    [Fact]
    public void Rows_do_not_depend_on_each_other_and_short_vectors_and_pieces_give_the_same_bits()
    {
        var (weight, x) = (Random(64, 100).t().contiguous(), Random(7, 100));
        float[] Kernel<T>(Tensor weights, bool wide, int first = 100) where T : IStored
        {
            var tile = new float[LinearKernels.MaxRows * 64];
            var all = new List<float>();
            for (var row = 0; row < 7;)
            {
                fixed (float* t = tile)
                {
                    var count = 0;
                    foreach (var (from, inputs) in new[] { (0, first), (first, 100 - first) }.Where(piece => piece.Item2 > 0))
                    {
                        var (w, at) = ((nint)TensorMemory.Pointer(weights) + from * T.RowBytes, (nint)(Pointer(x) + row * 100 + from));
                        count = wide
                            ? LinearKernels.Wide<T>((byte*)w, inputs, (float*)at, 100, 7 - row, t, from > 0)
                            : LinearKernels.Narrow<T>((byte*)w, inputs, (float*)at, 100, 7 - row, t, from > 0);
                    }
                    all.AddRange(tile.Take(count * 64));
                    row += count;
                }
            }
            return [.. all];
        }
        var wide = Kernel<Float32Row>(weight, wide: true);
        Assert.Equal(wide, Kernel<Float32Row>(weight, wide: false));
        Assert.Equal(wide, Kernel<Float32Row>(weight, wide: true, first: 60));
        Assert.Equal(wide, Kernel<Float32Row>(weight, wide: false, first: 60));
        var half = randint(0, 20000, [100, 64], ScalarType.Int16);
        Assert.Equal(Kernel<BFloat16Row>(half, wide: true), Kernel<BFloat16Row>(half, wide: false));
        using var packed = PackedLinear.Pack(new Linear("m", weight, zeros(64), transposed: true));
        var together = Apply(packed, x);
        for (var r = 0; r < 7; r++) Assert.True(Apply(packed, x.narrow(0, r, 1)).equal(together.narrow(0, r, 1)).all().ToBoolean());
    }

    [Theory]
    [InlineData(Activation.Gelu)]
    [InlineData(Activation.GeluTanh)]
    [InlineData(Activation.Relu)]
    [InlineData(Activation.Silu)]
    public void Activations_are_libtorchs(Activation activation)
    {
        var x = cat([linspace(-20, 20, 4001), tensor(new[] { -1e4f, -100f, -0f, 0f, 100f, 1e4f })]).view(-1, 1);
        using var packed = PackedLinear.Pack(new Linear("m", ones(1, 1), null));
        var expected = activation switch
        {
            Activation.Gelu => F.gelu(x),
            Activation.GeluTanh => F.gelu(x, TorchSharp.Modules.GELU.Approximate.tanh),
            Activation.Relu => F.relu(x),
            _ => F.silu(x),
        };
        Assert.True(Apply(packed, x, activation: activation).allclose(expected, 1e-6, 1e-6));
    }
}
