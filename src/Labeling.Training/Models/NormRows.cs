using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Models;

/// <summary>
/// Layer norm (Ba et al. 2016, arXiv 1607.06450) and RMS norm (Zhang and Sennrich 2019, arXiv 1910.07467), forward and backward in one pass over each row. Calculated
/// in float32, whatever the rows are stored in; weights stay float32.
/// </summary>
static unsafe class NormRows
{
    /// <summary>(x - mean) / √(variance + ε) · weight + bias, or x / √(mean square + ε) · weight without a bias.</summary>
    /// <param name="x">float32 or bfloat16 [..., width] in the processor's memory.</param>
    /// <param name="weight">float32 [width].</param>
    /// <param name="bias">float32 [width] for a layer norm; null for an RMS norm.</param>
    /// <param name="epsilon">ε.</param>
    public static Tensor Apply(Tensor x, Tensor weight, Tensor? bias, double epsilon) => (x.dtype, bias) switch
    {
        (ScalarType.Float32, null) => Apply<Float32Format, WithoutMean>(x, weight, bias, epsilon),
        (ScalarType.Float32, _) => Apply<Float32Format, WithMean>(x, weight, bias, epsilon),
        (_, null) => Apply<BFloat16Format, WithoutMean>(x, weight, bias, epsilon),
        _ => Apply<BFloat16Format, WithMean>(x, weight, bias, epsilon),
    };

    /// <summary>Whether a norm subtracts the mean. A type, so that a loop is compiled for each.</summary>
    interface IKind
    {
        static abstract bool Centers { get; }
    }

    readonly struct WithMean : IKind
    {
        public static bool Centers => true;
    }

    readonly struct WithoutMean : IKind
    {
        public static bool Centers => false;
    }

    static Tensor Apply<T, TKind>(Tensor x, Tensor weight, Tensor? bias, double epsilon) where T : IFloatFormat where TKind : IKind
    {
        using var scope = NewDisposeScope();
        Tensor output, input, moments;
        using (no_grad())
        {
            input = x.contiguous();
            output = empty_like(input);
            var columns = (int)x.shape[^1];
            moments = empty(Math.Max(1, input.NumberOfElements / columns), 2);
            byte* from = TensorMemory.Pointer(input), to = TensorMemory.Pointer(output);
            float* factors = (float*)TensorMemory.Pointer(RowPieces.Arranged<T>(weight, columns)), added = (float*)TensorMemory.Pointer(RowPieces.Arranged<T>(bias, columns));
            var moment = (float*)TensorMemory.Pointer(moments);
            RowPieces.Run(input, (row, _) => Forward<T, TKind>(from + row * columns * T.Bytes, factors, added, to + row * columns * T.Bytes, columns, epsilon, moment + 2 * row));
        }
        Tensor[] biases = bias is null ? [] : [bias];
        return AutogradFunction.Join([x, weight, .. biases], output, static (saved, gradient) =>
        {
            var (input, outer, columns) = (saved[0], gradient.contiguous(), (int)saved[0].shape[^1]);
            var (result, weightSums, biasSums) = (empty_like(input), RowPieces.Sums(input), RowPieces.Sums(input));
            byte* from = TensorMemory.Pointer(input), incoming = TensorMemory.Pointer(outer), to = TensorMemory.Pointer(result);
            float* factors = (float*)TensorMemory.Pointer(RowPieces.Arranged<T>(saved[2], columns)), moment = (float*)TensorMemory.Pointer(saved[1]);
            float* ofWeight = (float*)TensorMemory.Pointer(weightSums), ofBias = (float*)TensorMemory.Pointer(biasSums);
            RowPieces.Run(input, (row, piece) =>
            {
                var (at, sum) = (row * columns * T.Bytes, (long)piece * columns);
                Backward<T, TKind>(from + at, factors, incoming + at, to + at, columns, moment + 2 * row, ofWeight + sum, ofBias + sum);
            });
            return TKind.Centers ? [result, RowPieces.Summed<T>(weightSums), RowPieces.Summed<T>(biasSums)] : [result, RowPieces.Summed<T>(weightSums)];
        }, input, moments, weight).MoveToOuterDisposeScope();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Forward<T, TKind>(byte* x, float* weight, float* bias, byte* y, int columns, double epsilon, float* moments) where T : IFloatFormat where TKind : IKind
    {
        const int Width = IFloatFormat.Width;
        var (whole, mean) = (columns - columns % Width, 0f);
        if (TKind.Centers)
        {
            Vector512<float> a = default, b = default;
            for (var i = 0; i < whole; i += Width)
            {
                var (c, d) = T.Load(x + i * T.Bytes);
                a += c;
                b += d;
            }
            mean = Vector512.Sum(a + b);
            for (var i = whole; i < columns; i++) mean += T.Read(x + i * T.Bytes);
            mean /= columns;
        }
        var middle = Vector512.Create(mean);
        Vector512<float> e = default, f = default;
        for (var i = 0; i < whole; i += Width)
        {
            var (a, b) = T.Load(x + i * T.Bytes);
            (a, b) = (a - middle, b - middle);
            e = Vector512.FusedMultiplyAdd(a, a, e);
            f = Vector512.FusedMultiplyAdd(b, b, f);
        }
        var squares = (double)Vector512.Sum(e + f);
        for (var i = whole; i < columns; i++) squares += (T.Read(x + i * T.Bytes) - mean) * (T.Read(x + i * T.Bytes) - mean);
        var scale = (float)(1 / Math.Sqrt(squares / columns + epsilon));
        (moments[0], moments[1]) = (mean, scale);
        var factor = Vector512.Create(scale);
        for (var i = 0; i < whole; i += Width)
        {
            var (a, b) = T.Load(x + i * T.Bytes);
            T.Store(y + i * T.Bytes,
                (a - middle) * factor * Vector512.Load(weight + i) + Vector512.Load(bias + i),
                (b - middle) * factor * Vector512.Load(weight + i + 16) + Vector512.Load(bias + i + 16));
        }
        for (var i = whole; i < columns; i++) T.Write(y + i * T.Bytes, (T.Read(x + i * T.Bytes) - mean) * scale * weight[i] + bias[i]);
    }

    /// <summary>With h = (x - mean)·s and g = gradient·weight, the gradient of x is s·(g - mean(g) - h·mean(g·h)), where an RMS norm has no mean(g); that of the weight is gradient·h.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Backward<T, TKind>(byte* x, float* weight, byte* incoming, byte* to, int columns, float* moments, float* weightSum, float* biasSum) where T : IFloatFormat where TKind : IKind
    {
        const int Width = IFloatFormat.Width;
        var (whole, mean, scale) = (columns - columns % Width, moments[0], moments[1]);
        var (middle, factor) = (Vector512.Create(mean), Vector512.Create(scale));
        Vector512<float> sumA = default, sumB = default, productA = default, productB = default;
        for (var i = 0; i < whole; i += Width)
        {
            var ((a, b), (c, d)) = (T.Load(x + i * T.Bytes), T.Load(incoming + i * T.Bytes));
            (a, b) = ((a - middle) * factor, (b - middle) * factor);
            (Vector512.Load(weightSum + i) + c * a).Store(weightSum + i);
            (Vector512.Load(weightSum + i + 16) + d * b).Store(weightSum + i + 16);
            if (TKind.Centers)
            {
                (Vector512.Load(biasSum + i) + c).Store(biasSum + i);
                (Vector512.Load(biasSum + i + 16) + d).Store(biasSum + i + 16);
            }
            (c, d) = (c * Vector512.Load(weight + i), d * Vector512.Load(weight + i + 16));
            (sumA, sumB) = (sumA + c, sumB + d);
            productA = Vector512.FusedMultiplyAdd(a, c, productA);
            productB = Vector512.FusedMultiplyAdd(b, d, productB);
        }
        var (sum, product) = (Vector512.Sum(sumA + sumB), Vector512.Sum(productA + productB));
        for (var i = whole; i < columns; i++)
        {
            var (h, g) = ((T.Read(x + i * T.Bytes) - mean) * scale, T.Read(incoming + i * T.Bytes));
            weightSum[i] += g * h;
            biasSum[i] += g;
            sum += g * weight[i];
            product += g * weight[i] * h;
        }
        var (ofSum, ofProduct) = (Vector512.Create(TKind.Centers ? sum / columns : 0), Vector512.Create(product / columns));
        for (var i = 0; i < whole; i += Width)
        {
            var ((a, b), (c, d)) = (T.Load(x + i * T.Bytes), T.Load(incoming + i * T.Bytes));
            (a, b) = ((a - middle) * factor, (b - middle) * factor);
            T.Store(to + i * T.Bytes,
                (c * Vector512.Load(weight + i) - ofSum - a * ofProduct) * factor,
                (d * Vector512.Load(weight + i + 16) - ofSum - b * ofProduct) * factor);
        }
        for (var i = whole; i < columns; i++)
        {
            var h = (T.Read(x + i * T.Bytes) - mean) * scale;
            T.Write(to + i * T.Bytes, (T.Read(incoming + i * T.Bytes) * weight[i] - ofSum[0] - h * ofProduct[0]) * scale);
        }
    }
}
