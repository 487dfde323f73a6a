using System.Runtime.Intrinsics;

namespace Labeling.Training.Generation;

/// <summary>The two products of attention for one query over the layout of <see cref="DecodeCache"/>.</summary>
static unsafe class DecodeAttention
{
    /// <summary>q·K for a multiple of 16 keys. Prefetches as many bytes from <paramref name="next"/> on.</summary>
    public static void Scores(float* keys, int count, int size, float* query, float* scores, float* next)
    {
        for (var t = 0; t < count; t += DecodeCache.Block, keys += DecodeCache.Block * size)
        {
            Prefetch(ref next, size);
            // Four sums, as one chain of additions would wait for itself.
            Vector512<float> a = default, b = default, c = default, e = default;
            var d = 0;
            for (; d + 4 <= size; d += 4)
            {
                a = Vector512.FusedMultiplyAdd(VectorMath.Broadcast(query + d), Vector512.Load(keys + d * 16), a);
                b = Vector512.FusedMultiplyAdd(VectorMath.Broadcast(query + d + 1), Vector512.Load(keys + d * 16 + 16), b);
                c = Vector512.FusedMultiplyAdd(VectorMath.Broadcast(query + d + 2), Vector512.Load(keys + d * 16 + 32), c);
                e = Vector512.FusedMultiplyAdd(VectorMath.Broadcast(query + d + 3), Vector512.Load(keys + d * 16 + 48), e);
            }
            for (; d < size; d++) a = Vector512.FusedMultiplyAdd(VectorMath.Broadcast(query + d), Vector512.Load(keys + d * 16), a);
            (a + b + (c + e)).Store(scores + t);
        }
    }

    /// <summary>The values' sum under weights, times a scale. Prefetches as many bytes from <paramref name="next"/> on.</summary>
    public static void Mix(float* values, int stride, int count, float* weights, float scale, int size, float* result, float* next)
    {
        for (var from = 0; from < size; from += 16)
        {
            Prefetch(ref next, count);
            Vector512<float> a = default, b = default, c = default, d = default;
            var v = values + from;
            var t = 0;
            for (; t + 4 <= count; t += 4, v += 4 * stride)
            {
                a = Vector512.FusedMultiplyAdd(VectorMath.Broadcast(weights + t), Vector512.Load(v), a);
                b = Vector512.FusedMultiplyAdd(VectorMath.Broadcast(weights + t + 1), Vector512.Load(v + stride), b);
                c = Vector512.FusedMultiplyAdd(VectorMath.Broadcast(weights + t + 2), Vector512.Load(v + 2 * stride), c);
                d = Vector512.FusedMultiplyAdd(VectorMath.Broadcast(weights + t + 3), Vector512.Load(v + 3 * stride), d);
            }
            for (; t < count; t++, v += stride) a = Vector512.FusedMultiplyAdd(VectorMath.Broadcast(weights + t), Vector512.Load(v), a);
            var sum = (a + b + (c + d)) * scale;
            if (from + 16 <= size) sum.Store(result + from);
            else
                for (var i = 0; from + i < size; i++) result[from + i] = sum[i];
        }
    }

    static void Prefetch(ref float* next, int lines)
    {
        for (var i = 0; i < lines; i++, next += 16) VectorMath.Prefetch(next);
    }
}
