using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Labeling.Training.Models;
using Labeling.Training.Native;

namespace Labeling.Training.Generation;

/// <summary>The element-wise parts of a decoder for single rows, float32.</summary>
static unsafe class VectorMath
{
    // Read as an integer, or the compiler loads and shuffles instead of loading repeatedly, and Intel's shuffles take one of the two units for products.
    /// <summary>A number in all 16 places.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Broadcast(float* x) => Vector512.Create(*(int*)x).AsSingle();

    /// <summary>A number in all 8 places.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Broadcast256(float* x) => Vector256.Create(*(int*)x).AsSingle();

    /// <summary>Asks for a cache line that will be needed soon; any address will do.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(void* line)
    {
        if (Sse.IsSupported) Sse.Prefetch1(line);
    }

    /// <summary>Applies an activation to a multiple of 16 numbers, in place.</summary>
    public static void Activate(Activation activation, float* x, int count)
    {
        switch (activation)
        {
            case Activation.GeluTanh: Apply<GeluTanh>(x, count); break;
            case Activation.Gelu: Apply<Gelu>(x, count); break;
            case Activation.Relu: Apply<Relu>(x, count); break;
            default: Apply<Silu>(x, count); break;
        }
    }

    /// <summary>gate = activation(gate)·up, where the ups stand behind the gates. The last vector may run over into ups that are used up.</summary>
    public static void Gate(Activation activation, float* gates, int width)
    {
        switch (activation)
        {
            case Activation.GeluTanh: Gate<GeluTanh>(gates, width); break;
            case Activation.Gelu: Gate<Gelu>(gates, width); break;
            case Activation.Relu: Gate<Relu>(gates, width); break;
            default: Gate<Silu>(gates, width); break;
        }
    }

    static void Apply<T>(float* x, int count) where T : IActivation
    {
        for (var i = 0; i < count; i += 16) T.Of(Vector512.Load(x + i)).Store(x + i);
    }

    static void Gate<T>(float* gates, int width) where T : IActivation
    {
        for (var i = 0; i < width; i += 16) (T.Of(Vector512.Load(gates + i)) * Vector512.Load(gates + width + i)).Store(gates + i);
    }

    /// <summary>Layer norm, or RMS norm without a bias.</summary>
    public static void Norm(float* x, float* y, int width, float* weight, float* bias, double epsilon)
    {
        var mean = bias is null ? 0 : Sum(x, width) / width;
        var scale = (float)(1 / Math.Sqrt(SquaredDistance(x, width, mean) / width + epsilon));
        var (m, s) = (Vector512.Create(mean), Vector512.Create(scale));
        var i = 0;
        for (; i + 16 <= width; i += 16)
        {
            var value = (Vector512.Load(x + i) - m) * s * Vector512.Load(weight + i);
            (bias is null ? value : value + Vector512.Load(bias + i)).Store(y + i);
        }
        for (; i < width; i++) y[i] = (x[i] - mean) * scale * weight[i] + (bias is null ? 0 : bias[i]);
    }

    static float Sum(float* x, int width)
    {
        var sums = Vector512<float>.Zero;
        var i = 0;
        for (; i + 16 <= width; i += 16) sums += Vector512.Load(x + i);
        var sum = Vector512.Sum(sums);
        for (; i < width; i++) sum += x[i];
        return sum;
    }

    static float SquaredDistance(float* x, int width, float mean)
    {
        var (sums, m) = (Vector512<float>.Zero, Vector512.Create(mean));
        var i = 0;
        for (; i + 16 <= width; i += 16)
        {
            var d = Vector512.Load(x + i) - m;
            sums += d * d;
        }
        var sum = Vector512.Sum(sums);
        for (; i < width; i++) sum += (x[i] - mean) * (x[i] - mean);
        return sum;
    }

    /// <summary>x += y.</summary>
    public static void Add(float* x, float* y, int width)
    {
        var i = 0;
        for (; i + 16 <= width; i += 16) (Vector512.Load(x + i) + Vector512.Load(y + i)).Store(x + i);
        for (; i < width; i++) x[i] += y[i];
    }

    /// <summary>Rotates the first <paramref name="size"/> components, half against half (rotate_half of transformers).</summary>
    public static void Rotate(float* x, float* cosines, float* sines, int size)
    {
        var half = size / 2;
        var i = 0;
        for (; i + 8 <= half; i += 8)
        {
            var (a, b) = (Vector256.Load(x + i), Vector256.Load(x + half + i));
            var (c, s) = (Vector256.Load(cosines + i), Vector256.Load(sines + i));
            (a * c - b * s).Store(x + i);
            (b * c + a * s).Store(x + half + i);
        }
        for (; i < half; i++)
            (x[i], x[half + i]) = (x[i] * cosines[i] - x[half + i] * sines[i], x[half + i] * cosines[i] + x[i] * sines[i]);
    }

    /// <summary>Turns scores into e^(score - largest), in place, and returns their sum. The count is a multiple of 16.</summary>
    public static float Exponentials(float* scores, int count, out float largest)
    {
        var most = Vector512.Load(scores);
        for (var i = 16; i < count; i += 16) most = Vector512.Max(most, Vector512.Load(scores + i));
        largest = Largest(most);
        var shift = Vector512.Create(largest);
        var sums = Vector512<float>.Zero;
        for (var i = 0; i < count; i += 16)
        {
            var weight = FloatMath.Exp(Vector512.Load(scores + i) - shift);
            weight.Store(scores + i);
            sums += weight;
        }
        return Vector512.Sum(sums);
    }

    /// <summary>The sums of its halves' elements, in double precision.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Fold(Vector512<float> v)
    {
        var (low, high) = Vector512.Widen(v);
        return low + high;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(Vector512<float> v)
    {
        var eight = Vector256.Max(v.GetLower(), v.GetUpper());
        var four = Vector128.Max(eight.GetLower(), eight.GetUpper());
        var two = Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return MathF.Max(two[0], two[1]);
    }
}
