using static TorchSharp.torch;

namespace Labeling.Training.Models;

/// <summary>Keys and values of the tokens a batch has already read, in memory taken once for the longest sequence.</summary>
public sealed class KeyValueCache : IDisposable
{
    readonly Tensor[] keys;
    readonly Tensor[] values;
    readonly long capacity;

    /// <summary>Makes an empty cache.</summary>
    /// <param name="config">The model's configuration.</param>
    /// <param name="batch">Rows.</param>
    /// <param name="capacity">Most tokens a row will have.</param>
    public KeyValueCache(ModelConfig config, long batch, long capacity)
    {
        this.capacity = capacity;
        Tensor Room() => zeros([batch, config.KeyValueHeads, capacity, config.HeadSize], ScalarType.Float32).DetachFromDisposeScope();
        keys = [.. Enumerable.Range(0, config.Layers).Select(_ => Room())];
        values = [.. Enumerable.Range(0, config.Layers).Select(_ => Room())];
    }

    /// <summary>Tokens in the cache, padding included.</summary>
    public long Length { get; private set; }

    /// <summary>bool [batch, <see cref="Length"/>], false at left padding; null when there is none.</summary>
    internal Tensor? Mask { get; private set; }

    /// <summary>Tokens of every row that will follow what is read now and count for the length of its text already.</summary>
    internal int Ahead { get; init; }

    internal (Tensor Keys, Tensor Values) Append(int layer, Tensor key, Tensor value)
    {
        var time = key.shape[2];
        if (Length + time > capacity) throw new InvalidOperationException($"the cache has room for {capacity} tokens, not {Length + time}.");
        using (var place = keys[layer].narrow(2, Length, time)) place.copy_(key);
        using (var place = values[layer].narrow(2, Length, time)) place.copy_(value);
        // Kept in float32, whatever the pass calculates in.
        return (keys[layer].narrow(2, 0, Length + time).to_type(key.dtype), values[layer].narrow(2, 0, Length + time).to_type(value.dtype));
    }

    /// <summary>All keys and values of a layer, [batch, heads, capacity, head size].</summary>
    internal (Tensor Keys, Tensor Values) Layer(int layer) => (keys[layer], values[layer]);

    internal void Advance(AttentionPlan plan)
    {
        Length = plan.Past + plan.Time;
        if (plan.KeyMask is not { } mask) return;
        Mask?.Dispose();
        Mask = mask.alias().DetachFromDisposeScope();
    }

    /// <summary>Keeps only some rows, in the given order.</summary>
    /// <param name="rows">int64 indices of rows.</param>
    public void Select(Tensor rows)
    {
        for (var i = 0; i < keys.Length; i++)
        {
            keys[i] = Replace(keys[i]);
            values[i] = Replace(values[i]);
        }
        if (Mask is not null) Mask = Replace(Mask);

        Tensor Replace(Tensor old)
        {
            var kept = old.index_select(0, rows).DetachFromDisposeScope();
            old.Dispose();
            return kept;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in keys.Concat(values)) tensor.Dispose();
        Mask?.Dispose();
    }
}
