using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Data;

/// <summary>
/// Softmax cross-entropy and its gradient, (softmax(z) - onehot(y))·factor, in one pass over each row of logits while the processor's cache has it;
/// libtorch's operators read and write all of them a dozen times. Calculated in float32, whatever the logits are stored in.
/// </summary>
internal static unsafe class CrossEntropy
{
    const int RowsOfAPiece = 4;

    /// <summary>Losses of rows of logits, which become their gradients.</summary>
    /// <param name="logits">float32 or bfloat16 [rows, vocabulary], contiguous; holds the gradient of Σ loss·factor afterwards.</param>
    /// <param name="targets">int64 [rows].</param>
    /// <param name="factor">Factor of the gradient, for example one over the number of rows.</param>
    /// <returns>The sum of the losses in nats, and the number of rows whose first choice is the target.</returns>
    public static (double Loss, long Right) Differentiate(Tensor logits, Tensor targets, double factor) => logits.dtype switch
    {
        _ when logits.device_type != TorchSharp.DeviceType.CPU => Elsewhere(logits, targets, factor),
        ScalarType.Float32 => Differentiate<Float32Format>(logits, targets, factor),
        ScalarType.BFloat16 => Differentiate<BFloat16Format>(logits, targets, factor),
        var other => throw new ArgumentException($"logits are {other}; float32 or bfloat16 is needed.", nameof(logits)),
    };

    /// <summary>The same by libtorch's operators, for memory that only a GPU reaches.</summary>
    internal static (double Loss, long Right) Elsewhere(Tensor logits, Tensor targets, double factor)
    {
        using var frozen = no_grad();
        using var scope = NewDisposeScope();
        var labels = targets.unsqueeze(1);
        var logProbs = nn.functional.log_softmax(logits.to_type(ScalarType.Float32), 1);
        var (loss, right) = (-logProbs.gather(1, labels).sum(ScalarType.Float64), logits.argmax(1).eq(targets).sum());
        var gradient = logProbs.exp_();
        gradient.scatter_add_(1, labels, full_like(labels, -1, ScalarType.Float32));
        logits.copy_(gradient.mul_(factor));
        return (loss.item<double>(), right.item<long>());
    }

    static (double Loss, long Right) Differentiate<T>(Tensor logits, Tensor targets, double factor) where T : IFloatFormat
    {
        var (rows, width) = ((int)logits.shape[0], (int)logits.shape[1]);
        var first = TensorMemory.Pointer(logits);
        var labels = targets.data<long>().ToArray();
        var results = new (double Loss, bool Right)[rows];
        Workers.Run((rows + RowsOfAPiece - 1) / RowsOfAPiece, piece =>
        {
            for (var row = piece * RowsOfAPiece; row < Math.Min(rows, (piece + 1) * RowsOfAPiece); row++)
                results[row] = Row<T>(first + (long)row * width * T.Bytes, width, (int)labels[row], (float)factor);
        });
        return (results.Sum(r => r.Loss), results.LongCount(r => r.Right));
    }

    // Compiled at once: a run of few steps would be over before the loop is found to be worth it.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static (double Loss, bool Right) Row<T>(byte* row, int width, int target, float factor) where T : IFloatFormat
    {
        var whole = width - width % IFloatFormat.Width;
        var most = Vector512.Create(float.NegativeInfinity);
        for (var i = 0; i < whole; i += IFloatFormat.Width)
        {
            var (a, b) = T.Load(row + (long)i * T.Bytes);
            most = Vector512.Max(most, Vector512.Max(a, b));
        }
        var largest = float.NegativeInfinity;
        for (var i = 0; i < Vector512<float>.Count; i++) largest = MathF.Max(largest, most[i]);
        for (var i = whole; i < width; i++) largest = MathF.Max(largest, T.Read(row + (long)i * T.Bytes));

        var score = T.Read(row + (long)target * T.Bytes);
        var right = score == largest && !Earlier<T>(row, target, largest);

        var shift = Vector512.Create(largest);
        var sums = Vector512<float>.Zero;
        for (var i = 0; i < whole; i += IFloatFormat.Width)
        {
            var (a, b) = T.Load(row + (long)i * T.Bytes);
            sums += FloatMath.Exp(a - shift) + FloatMath.Exp(b - shift);
        }
        var sum = (double)Vector512.Sum(sums);
        for (var i = whole; i < width; i++) sum += MathF.Exp(T.Read(row + (long)i * T.Bytes) - largest);

        var scale = Vector512.Create((float)(factor / sum));
        for (var i = 0; i < whole; i += IFloatFormat.Width)
        {
            var (a, b) = T.Load(row + (long)i * T.Bytes);
            T.Store(row + (long)i * T.Bytes, FloatMath.Exp(a - shift) * scale, FloatMath.Exp(b - shift) * scale);
        }
        for (var i = whole; i < width; i++) T.Write(row + (long)i * T.Bytes, MathF.Exp(T.Read(row + (long)i * T.Bytes) - largest) * scale[0]);
        T.Write(row + (long)target * T.Bytes, (float)(factor * (Math.Exp(score - largest) / sum - 1)));
        return (Math.Log(sum) + largest - score, right);
    }

    /// <summary>Among equal logits the first is the choice, as argmax has it.</summary>
    static bool Earlier<T>(byte* row, int target, float largest) where T : IFloatFormat
    {
        for (var i = 0; i < target; i++)
        {
            if (T.Read(row + (long)i * T.Bytes) == largest) return true;
        }
        return false;
    }
}
