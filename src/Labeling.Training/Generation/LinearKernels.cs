using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Labeling.Training.Generation;

/// <summary>
/// Products of a few rows with one panel of 64 columns. With 512-bit vectors six rows by four vectors keep 24 sums in
/// registers; with shorter ones four rows by two vectors keep eight, and the panel is read in four passes.
/// </summary>
static unsafe class LinearKernels
{
    public const int MaxRows = 6;

    /// <summary>
    /// AMD's processors that calculate 512 bits at a time instead of in halves, since Zen 5: bit FP512 of the performance optimization identifiers
    /// (AMD64 Architecture Programmer's Manual, volume 3, CPUID function 8000_001A). On these the kernels keep up with libtorch's for bfloat16 too.
    /// </summary>
    public static readonly bool HasAmd512BitDatapath = FindDatapath();

    static bool FindDatapath()
    {
        const int LargestFunction = unchecked((int)0x8000_0000), Identifiers = unchecked((int)0x8000_001A), Fp512 = 1 << 3;
        if (!X86Base.IsSupported || (uint)X86Base.CpuId(LargestFunction, 0).Eax < unchecked((uint)Identifiers)) return false;
        // Other makers leave the function's answer 0.
        return (X86Base.CpuId(Identifiers, 0).Eax & Fp512) != 0;
    }

    /// <summary>Computes as many of the rows as it takes at once, and says how many.</summary>
    /// <param name="weights">The panel, [in, 64].</param>
    /// <param name="inputs">Length of the sums.</param>
    /// <param name="x">First row of inputs.</param>
    /// <param name="stride">Distance of two rows.</param>
    /// <param name="rows">Rows there are.</param>
    /// <param name="tile">Results, [6, 64].</param>
    /// <param name="resume">Whether the sums go on from what the results hold; else they begin at 0.</param>
    /// <param name="next">What to prefetch meanwhile: six rows one line per input, fewer rows as much as they read, or nothing from null.</param>
    /// <param name="step">Distance of six rows' lines, in bytes.</param>
    public static int Multiply<T>(byte* weights, int inputs, float* x, int stride, int rows, float* tile, bool resume, byte* next, int step) where T : IStored =>
        Vector512.IsHardwareAccelerated ? Wide<T>(weights, inputs, x, stride, rows, tile, resume, next, step) : Narrow<T>(weights, inputs, x, stride, rows, tile, resume);

    public static int Wide<T>(byte* weights, int inputs, float* x, int stride, int rows, float* tile, bool resume = false, byte* next = null, int step = 0) where T : IStored
    {
        if (rows >= 6)
        {
            Six<T>(weights, inputs, x, stride, tile, resume, next, step);
            return 6;
        }
        if (rows >= 2)
        {
            // One more than there are costs less than another pass over the weights.
            Three<T>(weights, inputs, x, rows == 2 ? 0 : stride, x + stride, tile, resume, next);
            return Math.Min(rows, 3);
        }
        One<T>(weights, inputs, x, tile, resume, next);
        return 1;
    }

    public static int Narrow<T>(byte* weights, int inputs, float* x, int stride, int rows, float* tile, bool resume = false) where T : IStored
    {
        var count = Math.Min(rows, 4);
        for (var pass = 0; pass < 4; pass++)
        {
            var start = pass / 2 * 32 + pass % 2 * 8;
            if (count == 4) FourNarrow<T>(weights, inputs, x, stride, start, tile, resume);
            else
                for (var r = 0; r < count; r++) OneNarrow<T>(weights, inputs, x + r * stride, start, tile + r * PackedLinear.Panel, resume);
        }
        return count;
    }

    static void Six<T>(byte* w, int inputs, float* x0, int stride, float* tile, bool resume, byte* next, int step) where T : IStored
    {
        float* x1 = x0 + stride, x2 = x1 + stride, x3 = x2 + stride, x4 = x3 + stride, x5 = x4 + stride;
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        Vector512<float> c0 = default, c1 = default, c2 = default, c3 = default, d0 = default, d1 = default, d2 = default, d3 = default;
        Vector512<float> e0 = default, e1 = default, e2 = default, e3 = default, f0 = default, f1 = default, f2 = default, f3 = default;
        if (resume)
        {
            Load(tile, out a0, out a1, out a2, out a3);
            Load(tile + 64, out b0, out b1, out b2, out b3);
            Load(tile + 128, out c0, out c1, out c2, out c3);
            Load(tile + 192, out d0, out d1, out d2, out d3);
            Load(tile + 256, out e0, out e1, out e2, out e3);
            Load(tile + 320, out f0, out f1, out f2, out f3);
        }
        for (var k = 0; k < inputs; k++)
        {
            T.Load(w, out var w0, out var w1, out var w2, out var w3);
            w += T.RowBytes;
            VectorMath.Prefetch(next);
            next += step;
            Add(x0 + k, w0, w1, w2, w3, ref a0, ref a1, ref a2, ref a3);
            Add(x1 + k, w0, w1, w2, w3, ref b0, ref b1, ref b2, ref b3);
            Add(x2 + k, w0, w1, w2, w3, ref c0, ref c1, ref c2, ref c3);
            Add(x3 + k, w0, w1, w2, w3, ref d0, ref d1, ref d2, ref d3);
            Add(x4 + k, w0, w1, w2, w3, ref e0, ref e1, ref e2, ref e3);
            Add(x5 + k, w0, w1, w2, w3, ref f0, ref f1, ref f2, ref f3);
        }
        Store(tile, a0, a1, a2, a3);
        Store(tile + 64, b0, b1, b2, b3);
        Store(tile + 128, c0, c1, c2, c3);
        Store(tile + 192, d0, d1, d2, d3);
        Store(tile + 256, e0, e1, e2, e3);
        Store(tile + 320, f0, f1, f2, f3);
    }

    static void Three<T>(byte* w, int inputs, float* x0, int third, float* x1, float* tile, bool resume, byte* next) where T : IStored
    {
        var x2 = x1 + third;
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
        Vector512<float> c0 = default, c1 = default, c2 = default, c3 = default;
        if (resume)
        {
            Load(tile, out a0, out a1, out a2, out a3);
            Load(tile + 64, out b0, out b1, out b2, out b3);
            Load(tile + 128, out c0, out c1, out c2, out c3);
        }
        for (var k = 0; k < inputs; k++)
        {
            T.Load(w, out var w0, out var w1, out var w2, out var w3);
            w += T.RowBytes;
            Prefetch<T>(ref next);
            Add(x0 + k, w0, w1, w2, w3, ref a0, ref a1, ref a2, ref a3);
            Add(x1 + k, w0, w1, w2, w3, ref b0, ref b1, ref b2, ref b3);
            Add(x2 + k, w0, w1, w2, w3, ref c0, ref c1, ref c2, ref c3);
        }
        Store(tile, a0, a1, a2, a3);
        Store(tile + 64, b0, b1, b2, b3);
        Store(tile + 128, c0, c1, c2, c3);
    }

    static void One<T>(byte* w, int inputs, float* x, float* tile, bool resume, byte* next) where T : IStored
    {
        Vector512<float> a0 = default, a1 = default, a2 = default, a3 = default;
        if (resume) Load(tile, out a0, out a1, out a2, out a3);
        for (var k = 0; k < inputs; k++)
        {
            T.Load(w, out var w0, out var w1, out var w2, out var w3);
            w += T.RowBytes;
            Prefetch<T>(ref next);
            Add(x + k, w0, w1, w2, w3, ref a0, ref a1, ref a2, ref a3);
        }
        Store(tile, a0, a1, a2, a3);
    }

    static void FourNarrow<T>(byte* w, int inputs, float* x0, int stride, int start, float* tile, bool resume) where T : IStored
    {
        float* x1 = x0 + stride, x2 = x1 + stride, x3 = x2 + stride;
        Vector256<float> a0 = default, a1 = default, b0 = default, b1 = default, c0 = default, c1 = default, d0 = default, d1 = default;
        if (resume)
        {
            Load(tile + start, out a0, out a1);
            Load(tile + start + 64, out b0, out b1);
            Load(tile + start + 128, out c0, out c1);
            Load(tile + start + 192, out d0, out d1);
        }
        for (var k = 0; k < inputs; k++)
        {
            T.Load(w, start, out var w0, out var w1);
            w += T.RowBytes;
            Add(x0 + k, w0, w1, ref a0, ref a1);
            Add(x1 + k, w0, w1, ref b0, ref b1);
            Add(x2 + k, w0, w1, ref c0, ref c1);
            Add(x3 + k, w0, w1, ref d0, ref d1);
        }
        Store(tile + start, a0, a1);
        Store(tile + start + 64, b0, b1);
        Store(tile + start + 128, c0, c1);
        Store(tile + start + 192, d0, d1);
    }

    static void OneNarrow<T>(byte* w, int inputs, float* x, int start, float* tile, bool resume) where T : IStored
    {
        Vector256<float> a0 = default, a1 = default;
        if (resume) Load(tile + start, out a0, out a1);
        for (var k = 0; k < inputs; k++)
        {
            T.Load(w, start, out var w0, out var w1);
            w += T.RowBytes;
            Add(x + k, w0, w1, ref a0, ref a1);
        }
        Store(tile + start, a0, a1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Prefetch<T>(ref byte* next) where T : IStored
    {
        if (next == null) return;
        VectorMath.Prefetch(next);
        VectorMath.Prefetch(next + 64);
        if (T.RowBytes > 128)
        {
            VectorMath.Prefetch(next + 128);
            VectorMath.Prefetch(next + 192);
        }
        next += T.RowBytes;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Add(float* x, Vector512<float> w0, Vector512<float> w1, Vector512<float> w2, Vector512<float> w3,
        ref Vector512<float> s0, ref Vector512<float> s1, ref Vector512<float> s2, ref Vector512<float> s3)
    {
        var v = VectorMath.Broadcast(x);
        s0 = Vector512.FusedMultiplyAdd(v, w0, s0);
        s1 = Vector512.FusedMultiplyAdd(v, w1, s1);
        s2 = Vector512.FusedMultiplyAdd(v, w2, s2);
        s3 = Vector512.FusedMultiplyAdd(v, w3, s3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Add(float* x, Vector256<float> w0, Vector256<float> w1, ref Vector256<float> s0, ref Vector256<float> s1)
    {
        var v = VectorMath.Broadcast256(x);
        s0 = Vector256.FusedMultiplyAdd(v, w0, s0);
        s1 = Vector256.FusedMultiplyAdd(v, w1, s1);
    }

    static void Load(float* from, out Vector512<float> a, out Vector512<float> b, out Vector512<float> c, out Vector512<float> d) =>
        (a, b, c, d) = (Vector512.Load(from), Vector512.Load(from + 16), Vector512.Load(from + 32), Vector512.Load(from + 48));

    static void Load(float* from, out Vector256<float> a, out Vector256<float> b) => (a, b) = (Vector256.Load(from), Vector256.Load(from + 16));

    static void Store(float* to, Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        a.Store(to);
        b.Store(to + 16);
        c.Store(to + 32);
        d.Store(to + 48);
    }

    static void Store(float* to, Vector256<float> a, Vector256<float> b)
    {
        a.Store(to);
        b.Store(to + 16);
    }
}
