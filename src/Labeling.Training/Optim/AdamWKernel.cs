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

    /// <summary>A stretch of one tensor: what stays where it is from step to step.</summary>
    public readonly record struct Part(int Tensor, nint Weight, nint First, nint Second, long From, int Count, double WeightDecay);

    /// <summary>What a step reads and writes besides.</summary>
    /// <param name="Gradient">Contiguous; 0 where the tensor has none and stays as it is.</param>
    /// <param name="BFloat16Gradient">The gradient is bfloat16, not float32.</param>
    /// <param name="Copy">Written with the weight's numbers in bfloat16; 0 for nothing.</param>
    public readonly record struct Source(nint Gradient, bool BFloat16Gradient, nint Copy)
    {
        public byte* GradientOf(in Part part) => (byte*)Gradient + part.From * (BFloat16Gradient ? BFloat16Format.Bytes : Float32Format.Bytes);

        public byte* CopyOf(in Part part) => Copy == 0 ? null : (byte*)Copy + part.From * BFloat16Format.Bytes;
    }

    /// <summary>The numbers of a step.</summary>
    /// <param name="LearningRate">Learning rate.</param>
    /// <param name="Beta1">Decay of the first moment.</param>
    /// <param name="Beta2">Decay of the second moment.</param>
    /// <param name="Epsilon">Added to the root.</param>
    /// <param name="Step">Number of the step, from 1.</param>
    /// <param name="Factor">Gradients are multiplied by it.</param>
    public readonly record struct Settings(double LearningRate, double Beta1, double Beta2, double Epsilon, long Step, double Factor);

    /// <summary>Adds the pieces of one tensor: contiguous float32, like its moments, in the processor's memory.</summary>
    /// <param name="parts">The pieces so far.</param>
    /// <param name="tensor">Index of its <see cref="Source"/>.</param>
    /// <param name="parameter">The weight.</param>
    /// <param name="first">Its first moment.</param>
    /// <param name="second">Its second moment.</param>
    /// <param name="weightDecay">Decoupled weight decay.</param>
    public static void Cut(List<Part> parts, int tensor, Tensor parameter, Tensor first, Tensor second, double weightDecay)
    {
        var (w, m, v) = ((nint)TensorMemory.Pointer(parameter), (nint)TensorMemory.Pointer(first), (nint)TensorMemory.Pointer(second));
        var count = parameter.NumberOfElements;
        for (long from = 0; from < count; from += Piece)
        {
            var at = (nint)(from * sizeof(float));
            parts.Add(new(tensor, w + at, m + at, v + at, from, (int)Math.Min(Piece, count - from), weightDecay));
        }
    }

    /// <summary>Global L2 norm of the gradients; not finite where one of them is not.</summary>
    public static double Norm(List<Part> parts, Source[] sources)
    {
        var sums = new double[parts.Count];
        Workers.Run(parts.Count, i =>
        {
            var (part, source) = (parts[i], sources[parts[i].Tensor]);
            if (source.Gradient == 0) return;
            var gradient = source.GradientOf(part);
            sums[i] = source.BFloat16Gradient ? Squares<BFloat16Format>(gradient, part.Count) : Squares<Float32Format>(gradient, part.Count);
        });
        return Math.Sqrt(sums.Sum());
    }

    /// <summary>Updates weights and moments.</summary>
    public static void Update(List<Part> parts, Source[] sources, Settings settings) =>
        Workers.Run(parts.Count, i =>
        {
            var (part, source) = (parts[i], sources[parts[i].Tensor]);
            if (source.Gradient == 0) return;
            if (source.BFloat16Gradient) Update<BFloat16Format>(part, source.GradientOf(part), source.CopyOf(part), settings);
            else Update<Float32Format>(part, source.GradientOf(part), source.CopyOf(part), settings);
        });

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static double Squares<T>(byte* x, int count) where T : IFloatFormat
    {
        var (a, b) = (Vector512<double>.Zero, Vector512<double>.Zero);
        var i = 0;
        for (; i + 16 <= count; i += 16)
        {
            var (low, high) = Vector512.Widen(T.LoadInOrder(x + i * T.Bytes));
            a = Vector512.FusedMultiplyAdd(low, low, a);
            b = Vector512.FusedMultiplyAdd(high, high, b);
        }
        var sum = Vector512.Sum(a + b);
        for (; i < count; i++) sum += (double)T.Read(x + i * T.Bytes) * T.Read(x + i * T.Bytes);
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Update<T>(Part part, byte* gradient, byte* copy, Settings s) where T : IFloatFormat
    {
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
