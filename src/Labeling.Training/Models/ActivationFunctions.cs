using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Labeling.Training.Native;

namespace Labeling.Training.Models;

/// <summary>An activation, sixteen float32 numbers at a time. A type of its own, so that a loop is compiled for each and the next vector begins while the last is under way.</summary>
interface IActivation
{
    /// <summary>f(x).</summary>
    static abstract Vector512<float> Of(Vector512<float> x);
}

/// <summary>An activation with its derivative.</summary>
interface IDifferentiableActivation : IActivation
{
    /// <summary>f'(x).</summary>
    static abstract Vector512<float> Slope(Vector512<float> x);
}

/// <summary>x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))) (Hendrycks and Gimpel 2016, arXiv 1606.08415, section 2).</summary>
readonly struct GeluTanh : IDifferentiableActivation
{
    // (1 + tanh u) / 2 is the sigmoid of 2u; these are the two factors in 2u.
    const float Linear = 1.5957691216f, Cubic = 0.0713548163f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(Vector512<float> x) => x * FloatMath.Sigmoid(x * (Vector512.Create(Linear) + Vector512.Create(Cubic) * x * x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Slope(Vector512<float> x)
    {
        var square = Vector512.Create(Cubic) * x * x;
        var s = FloatMath.Sigmoid(x * (Vector512.Create(Linear) + square));
        return s + s * (Vector512<float>.One - s) * x * (Vector512.Create(Linear) + square * 3);
    }
}

/// <summary>x·Φ(x) with the normal distribution (the same paper).</summary>
readonly struct Gelu : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(Vector512<float> x) => x * FloatMath.NormalCdf(x);
}

/// <summary>max(x, 0).</summary>
readonly struct Relu : IDifferentiableActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(Vector512<float> x) => Vector512.Max(x, Vector512<float>.Zero);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Slope(Vector512<float> x) => Vector512.ConditionalSelect(Vector512.LessThanOrEqual(x, Vector512<float>.Zero), Vector512<float>.Zero, Vector512<float>.One);
}

/// <summary>x·sigmoid(x).</summary>
readonly struct Silu : IDifferentiableActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(Vector512<float> x) => x * FloatMath.Sigmoid(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Slope(Vector512<float> x)
    {
        var s = FloatMath.Sigmoid(x);
        return s + s * (Vector512<float>.One - s) * x;
    }
}
