using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Models;

/// <summary>What operations on rows have in common: several rows are a thread's piece, and what is summed over rows is summed by piece first.</summary>
static class RowPieces
{
    /// <summary>Always as many, so that sums do not depend on the threads.</summary>
    const int RowsOfAPiece = 32;

    /// <summary>Does every row of a contiguous tensor, on several threads.</summary>
    public static void Run(Tensor x, Action<long, int> row)
    {
        var rows = x.NumberOfElements / Math.Max(1, x.shape[^1]);
        Workers.Run(PiecesOf(x), piece =>
        {
            for (var i = (long)piece * RowsOfAPiece; i < Math.Min(rows, (piece + 1L) * RowsOfAPiece); i++) row(i, piece);
        });
    }

    static int PiecesOf(Tensor x) => (int)((x.NumberOfElements / Math.Max(1, x.shape[^1]) + RowsOfAPiece - 1) / RowsOfAPiece);

    /// <summary>A sum per piece and column, in the format's order.</summary>
    public static Tensor Sums(Tensor x) => zeros(PiecesOf(x), x.shape[^1]);

    /// <summary>The pieces' sums together, in the order of the columns.</summary>
    public static Tensor Summed<T>(Tensor sums) where T : IFloatFormat
    {
        var total = empty(sums.shape[1]);
        var from = TensorMemory.Span<float>(sums.sum([0]));
        var to = TensorMemory.Span<float>(total);
        for (var i = 0; i < to.Length; i++) to[IFloatFormat.PlaceOf<T>(i, to.Length)] = from[i];
        return total;
    }

    /// <summary>A bias in the order in which the format reads columns; zeros for null.</summary>
    public static Tensor Arranged<T>(Tensor? bias, int columns) where T : IFloatFormat
    {
        var arranged = zeros(columns);
        if (bias is null) return arranged;
        var from = TensorMemory.Span<float>(bias);
        var to = TensorMemory.Span<float>(arranged);
        for (var i = 0; i < to.Length; i++) to[i] = from[IFloatFormat.PlaceOf<T>(i, to.Length)];
        return arranged;
    }
}
