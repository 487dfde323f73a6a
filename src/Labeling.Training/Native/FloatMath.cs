using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Labeling.Training.Native;

/// <summary>Functions of sixteen float32 numbers.</summary>
static class FloatMath
{
    /// <summary>
    /// e^x within two units of the last place, 0 below the smallest normal number and NaN for NaN; .NET's own goes through double precision. The polynomial
    /// and the two parts of ln 2 are those of Cephes' expf (Moshier).
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        // The native minimum and maximum give their second operand when one is NaN.
        var bounded = Vector512.MinNative(Vector512.Create(88.37f), Vector512.MaxNative(Vector512.Create(-87.33f), x));
        var power = Vector512.Round(bounded * 1.44269504f);
        var r = Vector512.FusedMultiplyAdd(power, Vector512.Create(-0.693359375f), bounded);
        r = Vector512.FusedMultiplyAdd(power, Vector512.Create(2.12194440e-4f), r);
        var p = Vector512.FusedMultiplyAdd(Vector512.Create(1.9875691500e-4f), r, Vector512.Create(1.3981999507e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(8.3334519073e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(4.1665795894e-2f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1.6666665459e-1f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(5.0000001201e-1f));
        p = Vector512.FusedMultiplyAdd(p, r * r, r + Vector512<float>.One);
        var scale = (Vector512.ConvertToInt32Native(power) + Vector512.Create(127)) << 23;
        return Vector512.AndNot(p * scale.AsSingle(), Vector512.LessThan(x, Vector512.Create(-87.33f)));
    }
}
