using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Labeling.Training.Generation;

namespace Labeling.Training.Models;

/// <summary>Products of eight rows and 32 columns of float32, whose 16 sums of 16 numbers stay in registers, and the transposing that brings columns into their layout.</summary>
static unsafe class TileProduct
{
    public const int Rows = 8, Columns = 32;

    /// <summary>Eight rows times 32 columns.</summary>
    /// <param name="x">[8, count], or [count, 8] for a product with the transpose.</param>
    /// <param name="rowStep">Distance of two rows of x.</param>
    /// <param name="countStep">Distance of two numbers of a row of x.</param>
    /// <param name="columns">[count, 32].</param>
    /// <param name="columnStep">Distance of two rows of the columns.</param>
    /// <param name="count">Length of the sums.</param>
    /// <param name="to">[8, 32].</param>
    /// <param name="toStep">Distance of two rows of the result.</param>
    /// <param name="add">Add to what is there.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(float* x, nint rowStep, nint countStep, float* columns, nint columnStep, nint count, float* to, nint toStep, bool add = false)
    {
        Vector512<float> a0 = default, a1 = default, b0 = default, b1 = default, c0 = default, c1 = default, d0 = default, d1 = default;
        Vector512<float> e0 = default, e1 = default, f0 = default, f1 = default, g0 = default, g1 = default, h0 = default, h1 = default;
        float* xb = x + rowStep, xc = xb + rowStep, xd = xc + rowStep, xe = xd + rowStep, xf = xe + rowStep, xg = xf + rowStep, xh = xg + rowStep;
        for (nint k = 0; count > 0; count--, k += countStep)
        {
            var (w0, w1) = (Vector512.Load(columns), Vector512.Load(columns + 16));
            columns += columnStep;
            Add(x + k, w0, w1, ref a0, ref a1);
            Add(xb + k, w0, w1, ref b0, ref b1);
            Add(xc + k, w0, w1, ref c0, ref c1);
            Add(xd + k, w0, w1, ref d0, ref d1);
            Add(xe + k, w0, w1, ref e0, ref e1);
            Add(xf + k, w0, w1, ref f0, ref f1);
            Add(xg + k, w0, w1, ref g0, ref g1);
            Add(xh + k, w0, w1, ref h0, ref h1);
        }
        Put(to, a0, a1, add);
        Put(to += toStep, b0, b1, add);
        Put(to += toStep, c0, c1, add);
        Put(to += toStep, d0, d1, add);
        Put(to += toStep, e0, e1, add);
        Put(to += toStep, f0, f1, add);
        Put(to += toStep, g0, g1, add);
        Put(to += toStep, h0, h1, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Add(float* x, Vector512<float> w0, Vector512<float> w1, ref Vector512<float> s0, ref Vector512<float> s1)
    {
        var v = VectorMath.Broadcast(x);
        s0 = Vector512.FusedMultiplyAdd(v, w0, s0);
        s1 = Vector512.FusedMultiplyAdd(v, w1, s1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Put(float* to, Vector512<float> first, Vector512<float> second, bool add)
    {
        (add ? Vector512.Load(to) + first : first).Store(to);
        (add ? Vector512.Load(to + 16) + second : second).Store(to + 16);
    }

    /// <summary>Eight rows of eight numbers become eight columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Transpose(float* from, int fromStride, float* to, int toStride)
    {
        var (a, b) = Pairs(from, from + fromStride, from + 2 * fromStride, from + 3 * fromStride);
        from += 4 * fromStride;
        var (c, d) = Pairs(from, from + fromStride, from + 2 * fromStride, from + 3 * fromStride);
        Halves(a.First, c.First, to, toStride);
        Halves(a.Second, c.Second, to + toStride, toStride);
        Halves(b.First, d.First, to + 2 * toStride, toStride);
        Halves(b.Second, d.Second, to + 3 * toStride, toStride);

        // Of four rows: columns 0 and 4, 1 and 5, 2 and 6, 3 and 7.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static ((Vector256<float> First, Vector256<float> Second), (Vector256<float> First, Vector256<float> Second)) Pairs(float* w, float* x, float* y, float* z)
        {
            var (r0, r1, r2, r3) = (Vector256.Load(w), Vector256.Load(x), Vector256.Load(y), Vector256.Load(z));
            var (low, lower, high, higher) = (Avx.UnpackLow(r0, r1), Avx.UnpackLow(r2, r3), Avx.UnpackHigh(r0, r1), Avx.UnpackHigh(r2, r3));
            return ((Avx.Shuffle(low, lower, 0x44), Avx.Shuffle(low, lower, 0xEE)), (Avx.Shuffle(high, higher, 0x44), Avx.Shuffle(high, higher, 0xEE)));
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static void Halves(Vector256<float> upper, Vector256<float> lower, float* to, int stride)
        {
            Avx.Permute2x128(upper, lower, 0x20).Store(to);
            Avx.Permute2x128(upper, lower, 0x31).Store(to + 4 * stride);
        }
    }
}
