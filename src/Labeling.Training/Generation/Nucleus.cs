using System.Numerics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Labeling.Training.Generation;

/// <summary>
/// The tokens that exact top-k and top-p leave: all of some weight and the first few of the next smaller one, for equal weights are taken in the order of
/// their ids. Their border is found by halving the interval of weights that it may be in: a pass over the vocabulary takes a vector a nanosecond or
/// two, sorting takes hundreds of times that. After some passes only the few weights in that interval are looked at.
/// </summary>
/// <param name="AtLeast">Tokens of this weight and above are in it.</param>
/// <param name="Border">Of those from this weight to below <paramref name="AtLeast"/>, which are equal, the first few are in it.</param>
/// <param name="OfBorder">How many of these.</param>
/// <param name="Mass">Sum of the weights in it.</param>
readonly record struct Nucleus(float AtLeast, float Border, int OfBorder, double Mass)
{
    // Halvings between two times that the weights out of reach are left behind.
    const int Passes = 8;

    /// <summary>The top k tokens and, of these, the smallest set of most likely ones that reaches p of their mass, at least one (Holtzman et al. 2020, arXiv 1904.09751).</summary>
    /// <param name="weights">exp(logit - largest), [vocabulary], padded with zeros to a multiple of 16.</param>
    /// <param name="vocabulary">Tokens there are.</param>
    /// <param name="total">Sum of the weights.</param>
    /// <param name="topK">0 for all.</param>
    /// <param name="topP">1 for all.</param>
    /// <param name="room">As long as the weights.</param>
    public static Nucleus Of(ReadOnlySpan<float> weights, int vocabulary, double total, int topK, double topP, Span<float> room)
    {
        // No weight is as small but 0, and tokens of that weight cannot be drawn.
        var kept = new Nucleus(float.Epsilon, 0, 0, total);
        if (topK > 0 && topK < vocabulary) kept = LargestK(weights, vocabulary, topK, room);
        return topP < 1 ? kept.Prefix(weights, topP * kept.Mass, room) : kept;
    }

    static Nucleus LargestK(ReadOnlySpan<float> weights, int vocabulary, int k, Span<float> room)
    {
        // Numbers of the same sign are in the order of their bits.
        var (low, high) = (0, BitConverter.SingleToInt32Bits(1) + 1);
        var (toLow, above, beyond) = (vocabulary, 0, 0);
        var near = weights;
        for (var pass = 1; high - low > 1 && toLow > k && toLow - above > 1; pass++)
        {
            var middle = low + (high - low) / 2;
            var count = beyond + Count(near, middle);
            if (count >= k) (low, toLow) = (middle, count);
            else (high, above) = (middle, count);
            if (pass % Passes != 0) continue;
            near = Within(near, low, high, room);
            beyond = above;
        }
        return toLow == k
            ? new(BitConverter.Int32BitsToSingle(low), 0, 0, From(weights, low).Mass)
            : Make(weights, low, high, k - above, double.PositiveInfinity, From(weights, high).Mass);
    }

    Nucleus Prefix(ReadOnlySpan<float> weights, double enough, Span<float> room)
    {
        var (low, high) = (BitConverter.SingleToInt32Bits(AtLeast), BitConverter.SingleToInt32Bits(1) + 1);
        var (atLow, above) = (From(weights, low), (Count: 0, Mass: 0.0));
        if (atLow.Mass < enough && OfBorder > 0) return Make(weights, BitConverter.SingleToInt32Bits(Border), low, OfBorder, enough, atLow.Mass);
        var near = weights;
        var beyond = above;
        for (var pass = 1; high - low > 1 && atLow.Count - above.Count > 1; pass++)
        {
            var middle = low + (high - low) / 2;
            var from = From(near, middle);
            from = (beyond.Count + from.Count, beyond.Mass + from.Mass);
            if (from.Mass >= enough) (low, atLow) = (middle, from);
            else (high, above) = (middle, from);
            if (pass % Passes != 0) continue;
            near = Within(near, low, high, room);
            beyond = above;
        }
        return Make(weights, low, high, int.MaxValue, enough, above.Mass);
    }

    /// <summary>The weights from one number to below another, in their order, and zeros up to a multiple of 16.</summary>
    /// <param name="weights">May be the room's own.</param>
    /// <param name="low">Bits of the smallest.</param>
    /// <param name="high">Bits of the number that they are below.</param>
    /// <param name="room">As long as the weights.</param>
    static ReadOnlySpan<float> Within(ReadOnlySpan<float> weights, int low, int high, Span<float> room)
    {
        var (least, end) = (Vector512.Create(BitConverter.Int32BitsToSingle(low)), Vector512.Create(BitConverter.Int32BitsToSingle(high)));
        var count = 0;
        for (var i = 0; i < weights.Length; i += 16)
        {
            var sixteen = Vector512.Create(weights.Slice(i, 16));
            var inside = Vector512.GreaterThanOrEqual(sixteen, least) & Vector512.LessThan(sixteen, end);
            var bits = inside.ExtractMostSignificantBits();
            if (Avx512F.IsSupported)
            {
                // What this writes behind them was read before.
                Avx512F.Compress(Vector512<float>.Zero, inside, sixteen).CopyTo(room[count..]);
                count += BitOperations.PopCount(bits);
                continue;
            }
            for (; bits != 0; bits &= bits - 1) room[count++] = sixteen[BitOperations.TrailingZeroCount(bits)];
        }
        var length = (count + 15) / 16 * 16;
        room[count..length].Clear();
        return room[..length];
    }

    /// <summary>Takes from the border until there are so many or the mass is enough.</summary>
    static Nucleus Make(ReadOnlySpan<float> weights, int low, int high, int most, double enough, double mass)
    {
        var (border, atLeast) = (BitConverter.Int32BitsToSingle(low), BitConverter.Int32BitsToSingle(high));
        var count = 0;
        for (var i = 0; i < weights.Length; i += 16)
        {
            for (var bits = OnBorder(weights, i, border, atLeast); bits != 0; bits &= bits - 1)
            {
                if (count == most || mass >= enough) return new(atLeast, border, count, mass);
                mass += weights[i + BitOperations.TrailingZeroCount(bits)];
                count++;
            }
        }
        return new(atLeast, border, count, mass);
    }

    /// <summary>Which of sixteen weights are on the border, a bit each. Branches on single weights would be guessed wrong half of the time.</summary>
    static ulong OnBorder(ReadOnlySpan<float> weights, int start, float border, float atLeast)
    {
        var sixteen = Vector512.Create(weights.Slice(start, 16));
        return (Vector512.GreaterThanOrEqual(sixteen, Vector512.Create(border)) & Vector512.LessThan(sixteen, Vector512.Create(atLeast))).ExtractMostSignificantBits();
    }

    /// <summary>How many weights are at least a number.</summary>
    static int Count(ReadOnlySpan<float> weights, int bits)
    {
        var least = Vector512.Create(BitConverter.Int32BitsToSingle(bits));
        var counts = Vector512<int>.Zero;
        for (var i = 0; i < weights.Length; i += 16)
            counts -= Vector512.GreaterThanOrEqual(Vector512.Create(weights.Slice(i, 16)), least).AsInt32();
        return Vector512.Sum(counts);
    }

    /// <summary>How many weights are at least a number, and their sum.</summary>
    static (int Count, double Mass) From(ReadOnlySpan<float> weights, int bits)
    {
        var least = Vector512.Create(BitConverter.Int32BitsToSingle(bits));
        var count = 0;
        var sums = Vector512<double>.Zero;
        for (var i = 0; i < weights.Length; i += 16)
        {
            var sixteen = Vector512.Create(weights.Slice(i, 16));
            var enough = Vector512.GreaterThanOrEqual(sixteen, least);
            count += BitOperations.PopCount(enough.ExtractMostSignificantBits());
            sums += VectorMath.Fold(sixteen & enough);
        }
        return (count, Vector512.Sum(sums));
    }

    /// <summary>The token at which the running sum of weights, in the order of the ids and the border last, passes a target below <see cref="Mass"/>.</summary>
    public int At(ReadOnlySpan<float> weights, double target)
    {
        var least = Vector512.Create(AtLeast);
        for (var i = 0; i < weights.Length; i += 16)
        {
            var sixteen = Vector512.Create(weights.Slice(i, 16));
            var sum = Vector512.Sum(VectorMath.Fold(sixteen & Vector512.GreaterThanOrEqual(sixteen, least)));
            if (target >= sum)
            {
                target -= sum;
                continue;
            }
            for (var j = i; j < i + 16; j++)
            {
                if (weights[j] >= AtLeast && (target -= weights[j]) < 0) return j;
            }
        }
        var left = OfBorder;
        for (var i = 0; left > 0; i += 16)
        {
            for (var bits = OnBorder(weights, i, Border, AtLeast); bits != 0 && left > 0; bits &= bits - 1, left--)
            {
                var token = i + BitOperations.TrailingZeroCount(bits);
                if ((target -= weights[token]) < 0) return token;
            }
        }
        // Rounding can leave a rest beyond the last; the most likely token is always in it.
        return weights.IndexOf(1f);
    }
}
