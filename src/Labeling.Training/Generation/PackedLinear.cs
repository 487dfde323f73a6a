using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Labeling.Training.Models;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Generation;

/// <summary>
/// An affine map for few rows, where libtorch's product reaches a third of the memory's bandwidth. The weights are copied into panels of 64
/// columns, [columns / 64, in, 64], which every row count reads from front to back. Each output is one chain of fused multiply-adds over the
/// inputs, so a row's result does not depend on how many others are computed with it.
/// Weights that bfloat16 holds exactly (those of a bfloat16 checkpoint) are kept in it: half the bytes, the same numbers.
/// </summary>
sealed unsafe class PackedLinear : IDisposable
{
    /// <summary>Columns of a panel; rows of outputs are padded to a multiple of it.</summary>
    public const int Panel = 64;

    // A piece of work below this many products is not worth handing to another thread.
    const long WorthSharing = 40_000;

    // Bytes of a map that the processor's cache does not keep until the next step.
    const long Large = 2 << 20;

    // Bytes between what is read and what is prefetched. Twice and half as much measured the same.
    const int Ahead = 8192;

    // Rows whose sums are kept apart before they go to their place.
    const int AtOnce = 96;

    // Bytes of a panel that many rows meet one after the other: half of a core's nearest cache, or three quarters where that is small.
    const int Piece = 24 << 10;

    readonly Tensor memory;
    readonly float[] bias;
    readonly bool half;

    PackedLinear(int inputs, int outputs, Tensor memory, float[] bias, bool half) =>
        (Inputs, Outputs, this.memory, this.bias, this.half) = (inputs, outputs, memory, bias, half);

    public int Inputs { get; }
    public int Outputs { get; }
    /// <summary>Outputs with padding: the distance between rows of a result.</summary>
    public int Stride => Padded(Outputs);

    public static int Padded(int width) => (width + Panel - 1) / Panel * Panel;

    /// <summary>Copies the weights of one or several maps of the same input; their outputs stand one after the other.</summary>
    public static PackedLinear Pack(params Linear[] parts)
    {
        using var frozen = no_grad();
        using var scope = NewDisposeScope();
        var weights = parts.Select(p => p.Effective().contiguous()).ToArray();
        var inputs = (int)parts[0].Weight.shape[parts[0].Transposed ? 0 : 1];
        var widths = parts.Select(p => (int)p.Weight.shape[p.Transposed ? 1 : 0]).ToArray();
        var outputs = widths.Sum();
        var half = weights.All(FitsHalf);
        var memory = empty([(long)Padded(outputs) * inputs], half ? ScalarType.BFloat16 : ScalarType.Float32).DetachFromDisposeScope();
        var bias = new float[Padded(outputs)];
        var sources = new List<Source>();
        foreach (var (part, width, weight) in parts.Zip(widths, weights))
        {
            var first = sources.Sum(source => source.Width);
            if (part.Bias is { } values) TensorMemory.Span<float>(values).CopyTo(bias.AsSpan(first));
            sources.Add(new(first, width, (nint)TensorMemory.Pointer(weight), part.Transposed ? width : 1, part.Transposed ? 1 : inputs));
        }
        var target = TensorMemory.Pointer(memory);
        Workers.Run(Padded(outputs) / Panel, panel =>
        {
            if (half) Fill<BFloat16Format>(panel, sources, inputs, target);
            else Fill<Float32Format>(panel, sources, inputs, target);
        });
        return new PackedLinear(inputs, outputs, memory, bias, half);
    }

    /// <summary>Weights of one map: its first column, how many, and the distances of two inputs and two outputs in its memory.</summary>
    readonly record struct Source(int First, int Width, nint Weights, long AlongInput, long AlongOutput);

    static void Fill<T>(int panel, List<Source> sources, int inputs, byte* memory) where T : IFloatFormat
    {
        const int AtOnce = 16;
        // Columns that no map has stay 0.
        var rows = stackalloc float[AtOnce * Panel];
        new Span<float>(rows, AtOnce * Panel).Clear();
        var target = memory + (long)panel * inputs * Panel * T.Bytes;
        for (var from = 0; from < inputs; from += AtOnce)
        {
            var count = Math.Min(AtOnce, inputs - from);
            foreach (var source in sources)
            {
                var end = Math.Min(source.First + source.Width, (panel + 1) * Panel);
                for (var column = Math.Max(source.First, panel * Panel); column < end; column++)
                {
                    var weight = (float*)source.Weights + from * source.AlongInput + (column - source.First) * source.AlongOutput;
                    for (var k = 0; k < count; k++) rows[k * Panel + column % Panel] = weight[k * source.AlongInput];
                }
            }
            // In bfloat16 columns j and j + 16 share a word, so that a shift and a mask widen them.
            for (var i = 0; i < count * Panel; i += IFloatFormat.Width, target += IFloatFormat.Width * T.Bytes)
                T.Store(target, Vector512.Load(rows + i), Vector512.Load(rows + i + 16));
        }
    }

    static bool FitsHalf(Tensor weight)
    {
        const int AtOnce = 1024;
        var words = (uint*)TensorMemory.Pointer(weight);
        var count = weight.NumberOfElements;
        for (long i = 0; i < count; i += AtOnce)
        {
            var all = 0u;
            for (var j = i; j < Math.Min(count, i + AtOnce); j++) all |= words[j];
            if ((all & 0xFFFF) != 0) return false;
        }
        return true;
    }

    /// <summary>y = activation(x·W + b), or y += x·W + b.</summary>
    /// <param name="x">Inputs [rows, in].</param>
    /// <param name="xStride">Distance of two rows of x.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="y">Outputs [rows, <see cref="Stride"/>].</param>
    /// <param name="activation">Applied to the result; null for none.</param>
    /// <param name="add">Add to what y holds.</param>
    public void Apply(float* x, int xStride, int rows, float* y, Activation? activation = null, bool add = false)
    {
        var panels = Stride / Panel;
        var perPiece = (int)Math.Clamp(WorthSharing / ((long)rows * Inputs * Panel), 1, panels);
        Workers.Run((panels + perPiece - 1) / perPiece, piece =>
        {
            for (var panel = piece * perPiece; panel < Math.Min(panels, (piece + 1) * perPiece); panel++)
            {
                if (half) Columns<BFloat16Row>(panel, x, xStride, rows, y, activation, add);
                else Columns<Float32Row>(panel, x, xStride, rows, y, activation, add);
            }
        });
    }

    [SkipLocalsInit]
    void Columns<T>(int panel, float* x, int xStride, int rows, float* y, Activation? activation, bool add) where T : IStored
    {
        var tile = stackalloc float[(AtOnce + LinearKernels.MaxRows) * Panel];
        for (var from = 0; from < rows; from += AtOnce)
        {
            var count = Math.Min(AtOnce, rows - from);
            Multiply<T>(panel, x + (long)from * xStride, xStride, count, tile);
            fixed (float* b = &bias[panel * Panel])
            {
                if (activation is { } function)
                {
                    for (var i = 0; i < count * Panel; i += 16) (Vector512.Load(tile + i) + Vector512.Load(b + i % Panel)).Store(tile + i);
                    VectorMath.Activate(function, tile, count * Panel);
                }
                for (var r = 0; r < count; r++)
                {
                    var target = y + (long)(from + r) * Stride + panel * Panel;
                    for (var i = 0; i < Panel; i += 16)
                    {
                        var value = Vector512.Load(tile + r * Panel + i);
                        if (activation is null) value += Vector512.Load(b + i);
                        (add ? Vector512.Load(target + i) + value : value).Store(target + i);
                    }
                }
            }
        }
    }

    /// <summary>Products of some rows with one panel, [rows, 64].</summary>
    void Multiply<T>(int panel, float* x, int xStride, int rows, float* tile) where T : IStored
    {
        var weights = TensorMemory.Pointer(memory) + (long)panel * Inputs * T.RowBytes;
        if (rows < LinearKernels.MaxRows)
        {
            // Few rows wait for the memory, and the processor's own reading ahead begins anew with every page.
            var next = (long)Inputs * Stride * T.RowBytes > Panel * Large ? weights + Ahead : null;
            for (var row = 0; row < rows;)
                row += LinearKernels.Multiply<T>(weights, Inputs, x + (long)row * xStride, xStride, rows - row, tile + row * Panel, false, next, 0);
            return;
        }
        // All rows meet a piece of the panel while it is in the nearest cache, and the next piece comes from the memory meanwhile.
        var length = Piece / T.RowBytes;
        var step = Math.Min(64, T.RowBytes / (rows / LinearKernels.MaxRows));
        for (var k = 0; k < Inputs; k += length, weights += Piece)
        {
            var inputs = Math.Min(length, Inputs - k);
            for (var row = 0; row < rows;)
            {
                var next = rows - row >= LinearKernels.MaxRows ? weights + (long)inputs * (T.RowBytes + row / LinearKernels.MaxRows * step) : null;
                row += LinearKernels.Multiply<T>(weights, inputs, x + (long)row * xStride + k, xStride, rows - row, tile + row * Panel, k > 0, next, step);
            }
        }
    }

    public void Dispose() => memory.Dispose();
}

/// <summary>How a row of 64 weights is stored and widened to float32.</summary>
unsafe interface IStored
{
    static abstract int RowBytes { get; }
    /// <summary>The row's 64 weights, 16 to a vector.</summary>
    static abstract void Load(byte* row, out Vector512<float> a, out Vector512<float> b, out Vector512<float> c, out Vector512<float> d);
    /// <summary>Columns start .. start + 7 and start + 16 .. start + 23, for start 0, 8, 32 and 40.</summary>
    static abstract void Load(byte* row, int start, out Vector256<float> a, out Vector256<float> b);
}

readonly unsafe struct Float32Row : IStored
{
    public static int RowBytes => 256;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* row, out Vector512<float> a, out Vector512<float> b, out Vector512<float> c, out Vector512<float> d)
    {
        var p = (float*)row;
        (a, b, c, d) = (Vector512.Load(p), Vector512.Load(p + 16), Vector512.Load(p + 32), Vector512.Load(p + 48));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* row, int start, out Vector256<float> a, out Vector256<float> b)
    {
        var p = (float*)row + start;
        (a, b) = (Vector256.Load(p), Vector256.Load(p + 16));
    }
}

readonly unsafe struct BFloat16Row : IStored
{
    public static int RowBytes => 128;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* row, out Vector512<float> a, out Vector512<float> b, out Vector512<float> c, out Vector512<float> d)
    {
        (a, b) = BFloat16Format.Load(row);
        (c, d) = BFloat16Format.Load(row + RowBytes / 2);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load(byte* row, int start, out Vector256<float> a, out Vector256<float> b)
    {
        var words = Vector256.Load((uint*)row + start / 32 * 16 + start % 32);
        (a, b) = ((words << 16).AsSingle(), (words & Vector256.Create(0xFFFF0000)).AsSingle());
    }
}
