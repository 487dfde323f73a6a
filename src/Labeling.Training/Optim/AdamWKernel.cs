using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Optim;

/// <summary>
/// The update of <see cref="AdamW"/> in the processor's memory. All tensors are cut into pieces that the threads share in one go: libtorch's fused kernel
/// wakes its threads for every bias, which is most of a small model's update. Sums are over fixed pieces, so the result does not depend on the threads.
/// </summary>
static unsafe class AdamWKernel
{
    const int Piece = 1 << 15;

    /// <summary>A stretch of a tensor with its gradient and moments, and its copy in bfloat16, or 0.</summary>
    public readonly record struct Part(nint Weight, nint Gradient, bool BFloat16Gradient, nint First, nint Second, nint Copy, int Count, double WeightDecay);

    /// <summary>The numbers of a step.</summary>
    /// <param name="LearningRate">Learning rate.</param>
    /// <param name="Beta1">Decay of the first moment.</param>
    /// <param name="Beta2">Decay of the second moment.</param>
    /// <param name="Epsilon">Added to the root.</param>
    /// <param name="Step">Number of the step, from 1.</param>
    /// <param name="Factor">Gradients are multiplied by it.</param>
    public readonly record struct Settings(double LearningRate, double Beta1, double Beta2, double Epsilon, long Step, double Factor);

    /// <summary>Adds the pieces of one tensor: contiguous float32, like its moments, in the processor's memory; the gradient is float32 or bfloat16.</summary>
    /// <param name="parts">The pieces so far.</param>
    /// <param name="parameter">The weight.</param>
    /// <param name="gradient">Its gradient.</param>
    /// <param name="first">Its first moment.</param>
    /// <param name="second">Its second moment.</param>
    /// <param name="copy">Written with the weight's numbers in bfloat16; null for nothing.</param>
    /// <param name="weightDecay">Decoupled weight decay.</param>
    public static void Cut(List<Part> parts, Tensor parameter, Tensor gradient, Tensor first, Tensor second, Tensor? copy, double weightDecay)
    {
        var (w, g) = ((nint)TensorMemory.Pointer(parameter), (nint)TensorMemory.Pointer(gradient));
        var c = copy is null ? 0 : (nint)TensorMemory.Pointer(copy);
        var narrow = gradient.dtype == ScalarType.BFloat16;
        var (m, v) = ((nint)TensorMemory.Pointer(first), (nint)TensorMemory.Pointer(second));
        var count = parameter.NumberOfElements;
        for (long from = 0; from < count; from += Piece)
        {
            var (at, narrowAt) = ((nint)(from * sizeof(float)), (nint)(from * sizeof(ushort)));
            parts.Add(new(w + at, g + (narrow ? narrowAt : at), narrow, m + at, v + at, c == 0 ? 0 : c + narrowAt, (int)Math.Min(Piece, count - from), weightDecay));
        }
    }

    /// <summary>Global L2 norm of the gradients; not finite where one of them is not.</summary>
    public static double Norm(List<Part> parts)
    {
        var sums = new double[parts.Count];
        Workers.Run(parts.Count, i => sums[i] = parts[i].BFloat16Gradient ? Squares<BFloat16Format>(parts[i]) : Squares<Float32Format>(parts[i]));
        return Math.Sqrt(sums.Sum());
    }

    /// <summary>Updates weights and moments.</summary>
    public static void Update(List<Part> parts, Settings settings) =>
        Workers.Run(parts.Count, i =>
        {
            if (parts[i].BFloat16Gradient) Update<BFloat16Format>(parts[i], settings);
            else Update<Float32Format>(parts[i], settings);
        });

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static double Squares<T>(Part part) where T : IFloatFormat
    {
        var (x, count) = (part.Gradient, part.Count);
        var (a, b) = (Vector512<double>.Zero, Vector512<double>.Zero);
        var i = 0;
        for (; i + 16 <= count; i += 16)
        {
            var (low, high) = Vector512.Widen(T.LoadInOrder((byte*)x + i * T.Bytes));
            a = Vector512.FusedMultiplyAdd(low, low, a);
            b = Vector512.FusedMultiplyAdd(high, high, b);
        }
        var sum = Vector512.Sum(a + b);
        for (; i < count; i++) sum += (double)T.Read((byte*)x + i * T.Bytes) * T.Read((byte*)x + i * T.Bytes);
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Update<T>(Part part, Settings s) where T : IFloatFormat
    {
        byte* gradient = (byte*)part.Gradient, copy = (byte*)part.Copy;
        float* weight = (float*)part.Weight, first = (float*)part.First, second = (float*)part.Second;
        var (toFirst, toSecond, keepSecond) = ((float)(1 - s.Beta1), (float)(1 - s.Beta2), (float)s.Beta2);
        var rate = (float)(s.LearningRate / (1 - Math.Pow(s.Beta1, s.Step)));
        var correction = (float)(1 / Math.Sqrt(1 - Math.Pow(s.Beta2, s.Step)));
        var (decay, epsilon, factor) = ((float)(1 - s.LearningRate * part.WeightDecay), (float)s.Epsilon, (float)s.Factor);
        var i = 0;
        for (; i + 16 <= part.Count; i += 16)
        {
            var g = T.LoadInOrder(gradient + i * T.Bytes) * factor;
            var m = Vector512.Load(first + i);
            m = Vector512.FusedMultiplyAdd(g - m, Vector512.Create(toFirst), m);
            var v = Vector512.FusedMultiplyAdd(g * g, Vector512.Create(toSecond), Vector512.Load(second + i) * keepSecond);
            m.Store(first + i);
            v.Store(second + i);
            var step = m / Vector512.FusedMultiplyAdd(Vector512.Sqrt(v), Vector512.Create(correction), Vector512.Create(epsilon));
            var w = Vector512.Load(weight + i) * decay - step * rate;
            w.Store(weight + i);
            if (copy != null) BFloat16Format.StoreInOrder(copy + i * BFloat16Format.Bytes, w);
        }
        for (; i < part.Count; i++)
        {
            var g = T.Read(gradient + i * T.Bytes) * factor;
            first[i] = MathF.FusedMultiplyAdd(g - first[i], toFirst, first[i]);
            second[i] = MathF.FusedMultiplyAdd(g * g, toSecond, second[i] * keepSecond);
            weight[i] = weight[i] * decay - first[i] / MathF.FusedMultiplyAdd(MathF.Sqrt(second[i]), correction, epsilon) * rate;
            if (copy != null) BFloat16Format.Write(copy + i * BFloat16Format.Bytes, weight[i]);
        }
    }
}
