using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

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

    /// <summary>1 / (1 + e^-x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Sigmoid(Vector512<float> x) => Inverse(Vector512<float>.One + Exp(-x));

    /// <summary>1 / x, for x of at least 1, within two units of the last place. A division takes as long as all of <see cref="Exp"/>; an estimate of 14 bits and a step of Newton's method do not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<float> Inverse(Vector512<float> x)
    {
        if (!Avx512F.IsSupported) return Vector512<float>.One / x;
        var estimate = Avx512F.Reciprocal14(x);
        return Vector512.FusedMultiplyAdd(estimate, Vector512.FusedMultiplyAdd(-x, estimate, Vector512<float>.One), estimate);
    }

    /// <summary>(1 + erf(x / √2)) / 2 by formula 7.1.26 of Abramowitz and Stegun (1964); absolute error below 1e-7.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> NormalCdf(Vector512<float> x)
    {
        var z = Vector512.Abs(x) * 0.70710678f;
        var t = Vector512<float>.One / (Vector512<float>.One + z * 0.3275911f);
        var polynomial = Vector512.Create(1.061405429f) * t + Vector512.Create(-1.453152027f);
        polynomial = polynomial * t + Vector512.Create(1.421413741f);
        polynomial = polynomial * t + Vector512.Create(-0.284496736f);
        polynomial = polynomial * t + Vector512.Create(0.254829592f);
        var tail = polynomial * t * Exp(-z * z) * 0.5f;
        return Vector512.ConditionalSelect(Vector512.GreaterThan(x, Vector512<float>.Zero), Vector512<float>.One - tail, tail);
    }
}
