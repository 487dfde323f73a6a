using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Labeling.Training.Native;

/// <summary>How a number type lies in memory, so that one kernel serves several: 32 numbers at a time become two vectors of float32 and go back.</summary>
unsafe interface IFloatFormat
{
    /// <summary>Numbers that <see cref="Load"/> and <see cref="Store"/> move.</summary>
    const int Width = 32;

    /// <summary>Bytes of one number.</summary>
    static abstract int Bytes { get; }

    /// <summary>Thirty-two numbers, in an order of the format's own.</summary>
    static abstract (Vector512<float> First, Vector512<float> Second) Load(byte* from);

    /// <summary>Writes what <see cref="Load"/> would read in the same order, rounded to the nearest.</summary>
    static abstract void Store(byte* to, Vector512<float> first, Vector512<float> second);

    /// <summary>Sixteen numbers in the order in which they lie.</summary>
    static abstract Vector512<float> LoadInOrder(byte* from);

    /// <summary>Place in memory of the i-th of so many numbers as they are read: whole pairs of vectors in the format's order, the rest one by one.</summary>
    static int PlaceOf<T>(int i, int count) where T : IFloatFormat => i >= count - count % Width ? i : i - i % Width + T.PlaceOf(i % Width);

    /// <summary>Place among the <see cref="Width"/> numbers in memory that the i-th number of the two vectors has.</summary>
    static abstract int PlaceOf(int i);

    /// <summary>One number.</summary>
    static abstract float Read(byte* from);

    /// <summary>Writes one number, rounded to the nearest.</summary>
    static abstract void Write(byte* to, float value);
}

/// <summary>IEEE 754 single precision.</summary>
readonly unsafe struct Float32Format : IFloatFormat
{
    public static int Bytes => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> First, Vector512<float> Second) Load(byte* from) => (Vector512.Load((float*)from), Vector512.Load((float*)from + 16));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* to, Vector512<float> first, Vector512<float> second)
    {
        first.Store((float*)to);
        second.Store((float*)to + 16);
    }

    public static Vector512<float> LoadInOrder(byte* from) => Vector512.Load((float*)from);

    public static int PlaceOf(int i) => i;

    public static float Read(byte* from) => *(float*)from;

    public static void Write(byte* to, float value) => *(float*)to = value;
}

/// <summary>bfloat16, the upper half of single precision. The vectors hold the even and the odd numbers.</summary>
readonly unsafe struct BFloat16Format : IFloatFormat
{
    const uint Upper = 0xFFFF0000;

    public static int Bytes => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<float> First, Vector512<float> Second) Load(byte* from)
    {
        var pairs = Vector512.Load((uint*)from);
        return ((pairs << 16).AsSingle(), (pairs & Vector512.Create(Upper)).AsSingle());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(byte* to, Vector512<float> first, Vector512<float> second) =>
        (Rounded(first.AsUInt32()) >> 16 | Rounded(second.AsUInt32()) & Vector512.Create(Upper)).Store((uint*)to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> LoadInOrder(byte* from)
    {
        var (low, high) = Vector256.Widen(Vector256.Load((ushort*)from));
        return (Vector512.Create(low, high) << 16).AsSingle();
    }

    /// <summary>Writes sixteen numbers as <see cref="LoadInOrder"/> would read them, rounded to the nearest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreInOrder(byte* to, Vector512<float> numbers)
    {
        var rounded = Rounded(numbers.AsUInt32()) >> 16;
        Vector256.Narrow(rounded.GetLower(), rounded.GetUpper()).Store((ushort*)to);
    }

    public static int PlaceOf(int i) => i % 16 * 2 + i / 16;

    public static float Read(byte* from) => BitConverter.UInt32BitsToSingle((uint)*(ushort*)from << 16);

    public static void Write(byte* to, float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        *(ushort*)to = (ushort)(float.IsNaN(value) ? 0x7FC0 : bits + 0x7FFF + (bits >> 16 & 1) >> 16);
    }

    /// <summary>To the nearest, ties to even, in the upper half. A NaN stays one unless its upper half alone is infinity, which no calculation gives.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Vector512<uint> Rounded(Vector512<uint> bits)
    {
        var rounded = bits + Vector512.Create(0x7FFFu) + (bits >> 16 & Vector512<uint>.One);
        var number = bits.AsSingle();
        return Vector512.ConditionalSelect(Vector512.Equals(number, number).AsUInt32(), rounded, bits);
    }
}
