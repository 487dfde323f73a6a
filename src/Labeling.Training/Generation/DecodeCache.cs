using System.Runtime.CompilerServices;
using Labeling.Training.Models;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Generation;

/// <summary>
/// Keys and values of the rows that are being decoded. Every row has a slot of its own and its own length, so that rows begin and end
/// independently of each other and nothing is padded or moved. Keys stand in blocks of 16 tokens, [tokens / 16, head size, 16], so
/// that one vector holds a component of 16 keys; values stand token after token.
/// </summary>
sealed unsafe class DecodeCache : IDisposable
{
    public const int Block = 16;

    // Scores of one query.
    [ThreadStatic]
    static float[]? room;

    readonly Tensor[] memory;
    readonly float*[] keys;
    readonly float*[] values;
    readonly int heads;
    readonly int size;
    readonly int valueStride;

    /// <summary>Makes an empty cache.</summary>
    /// <param name="config">The model's configuration.</param>
    /// <param name="slots">Rows at the same time.</param>
    /// <param name="capacity">Most tokens of a row.</param>
    public DecodeCache(ModelConfig config, int slots, int capacity)
    {
        (heads, size) = (config.KeyValueHeads, config.HeadSize);
        Capacity = (capacity + Block - 1) / Block * Block;
        valueStride = (size + 15) / 16 * 16;
        Lengths = new int[slots];
        memory = new Tensor[2 * config.Layers];
        (keys, values) = (new float*[config.Layers], new float*[config.Layers]);
        for (var layer = 0; layer < config.Layers; layer++)
        {
            keys[layer] = Room(2 * layer, size);
            values[layer] = Room(2 * layer + 1, valueStride);
        }

        float* Room(int index, int width)
        {
            memory[index] = zeros([(long)slots * heads * Capacity * width], ScalarType.Float32).DetachFromDisposeScope();
            return (float*)TensorMemory.Pointer(memory[index]);
        }
    }

    /// <summary>Bytes of a row's keys and values.</summary>
    /// <param name="config">The model's configuration.</param>
    /// <param name="length">Tokens of the row.</param>
    public static long RowBytes(ModelConfig config, int length) => 2L * sizeof(float) * config.Layers * config.KeyValueHeads * config.HeadSize * length;

    /// <summary>Most tokens of a row, a multiple of <see cref="Block"/>.</summary>
    public int Capacity { get; }

    /// <summary>Tokens of each slot.</summary>
    public int[] Lengths { get; }

    float* Keys(int layer, int slot, int head) => keys[layer] + ((long)slot * heads + head) * Capacity * size;

    float* Values(int layer, int slot, int head) => values[layer] + ((long)slot * heads + head) * Capacity * valueStride;

    /// <summary>Writes one token's key and value of one head.</summary>
    public void Put(int layer, int slot, int head, int token, float* key, float* value)
    {
        var k = Keys(layer, slot, head) + token / Block * Block * size + token % Block;
        for (var d = 0; d < size; d++) k[d * Block] = key[d];
        new ReadOnlySpan<float>(value, size).CopyTo(new Span<float>(Values(layer, slot, head) + (long)token * valueStride, size));
    }

    /// <summary>Takes over the first tokens of a row that libtorch has read.</summary>
    public void Import(KeyValueCache source, int row, int length, int slot)
    {
        Workers.Run(keys.Length, layer =>
        {
            var (k, v) = source.Layer(layer);
            var room = (int)k.shape[2];
            for (var head = 0; head < heads; head++)
            {
                var first = ((long)row * heads + head) * room * size;
                var key = (float*)TensorMemory.Pointer(k) + first;
                var value = (float*)TensorMemory.Pointer(v) + first;
                for (var t = 0; t < length; t++) Put(layer, slot, head, t, key + t * size, value + t * size);
            }
        });
        Lengths[slot] = length;
    }

    /// <summary>Takes over what another slot's row has read.</summary>
    public void Copy(int from, int to)
    {
        // Blocks are copied whole.
        var length = (Lengths[from] + Block - 1) / Block * Block;
        Workers.Run(keys.Length * heads, item =>
        {
            var (layer, head) = (item / heads, item % heads);
            new ReadOnlySpan<float>(Keys(layer, from, head), length * size).CopyTo(new Span<float>(Keys(layer, to, head), length * size));
            new ReadOnlySpan<float>(Values(layer, from, head), length * valueStride).CopyTo(new Span<float>(Values(layer, to, head), length * valueStride));
        });
        Lengths[to] = Lengths[from];
    }

    /// <summary>softmax(q·K + slope·position)·V of one query, which is scaled already.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="slot">The row's slot.</param>
    /// <param name="head">The key and value head.</param>
    /// <param name="from">First token the query sees.</param>
    /// <param name="length">End of the tokens it sees.</param>
    /// <param name="query">[head size].</param>
    /// <param name="slope">Linear bias per position (ALiBi); 0 for none.</param>
    /// <param name="result">[head size].</param>
    public void Attend(int layer, int slot, int head, int from, int length, float* query, float slope, float* result)
    {
        if (room is null || room.Length < Capacity) room = GC.AllocateUninitializedArray<float>(Capacity, pinned: true);
        var scores = (float*)Unsafe.AsPointer(ref room[0]);
        var begin = from / Block * Block;
        var count = (length - begin + Block - 1) / Block * Block;
        var seen = Values(layer, slot, head) + (long)begin * valueStride;
        // Most likely the next call's.
        var next = Keys(layer, slot, head + 1) + (long)begin * size;
        DecodeAttention.Scores(Keys(layer, slot, head) + (long)begin * size, count, size, query, scores, seen);
        if (slope != 0)
            for (var t = 0; t < count; t++) scores[t] += slope * (begin + t - length);
        for (var t = begin; t < from; t++) scores[t - begin] = float.MinValue;
        for (var t = length; t < begin + count; t++) scores[t - begin] = float.MinValue;
        var sum = VectorMath.Exponentials(scores, count, out _);
        DecodeAttention.Mix(seen, valueStride, length - begin, scores, 1 / sum, size, result, next);
    }

    public void Dispose()
    {
        foreach (var tensor in memory) tensor.Dispose();
    }
}
