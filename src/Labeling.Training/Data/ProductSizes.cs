using System.Numerics;
using static TorchSharp.torch;

namespace Labeling.Training.Data;

/// <summary>
/// Sizes that batches are padded to. oneDNN, which multiplies in bfloat16, compiles code for every shape it meets and keeps most of it for good, so
/// memory would grow, and steps wait, for as long as new lengths come. With at most eight sizes between a power of two and the next they
/// are soon all known, for about 6 % more work. Float32 needs none of this.
/// </summary>
internal static class ProductSizes
{
    private const int Least = 8;

    /// <summary>The size, or the next one that is in use.</summary>
    /// <param name="type">Number type of the products.</param>
    /// <param name="size">Tokens of a row, or rows; positive.</param>
    public static int Padded(ScalarType type, int size)
    {
        if (type != ScalarType.BFloat16) return size;
        var unit = Math.Max(Least, (int)BitOperations.RoundUpToPowerOf2((uint)size) / 16);
        return (size + unit - 1) / unit * unit;
    }
}
