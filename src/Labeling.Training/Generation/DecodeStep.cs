using Labeling.Training.Models;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Generation;

/// <summary>
/// The decoder of <see cref="Decoder"/> for a few tokens, one of each of several rows or several of a short prompt, in kernels of its own: libtorch takes
/// hundreds of calls and reads the weights at a third of the memory's speed for the same result. A row's logits do not depend on the other rows.
/// </summary>
sealed unsafe class DecodeStep : IDisposable
{
    readonly ModelConfig config;
    readonly Decoder body;
    readonly DecodeCache cache;
    readonly Layer[] layers;
    readonly PackedLinear? projectIn;
    readonly PackedLinear? projectOut;
    readonly PackedLinear head;
    readonly List<Tensor> memory = [];
    readonly int width, most, mostAnswered;
    readonly float* x, normed, second, heads, attended, wide, logits, cosines, sines;

    /// <summary>Copies the model's weights as they are now.</summary>
    /// <param name="model">The model.</param>
    /// <param name="cache">Keys and values; extended by the tokens of each step.</param>
    /// <param name="tokens">Most tokens of a step.</param>
    /// <param name="answered">Most tokens of a step whose logits are wanted.</param>
    public DecodeStep(CausalLm model, DecodeCache cache, int tokens, int answered)
    {
        (config, body, this.cache) = (model.Config, model.Body, cache);
        layers = [.. body.Blocks.Select(b => new Layer(b))];
        projectIn = body.ProjectIn is null ? null : PackedLinear.Pack(body.ProjectIn);
        projectOut = body.ProjectOut is null ? null : PackedLinear.Pack(body.ProjectOut);
        head = PackedLinear.Pack(new Linear("head", model.Head, null));
        (most, mostAnswered) = (tokens, Math.Min(tokens, answered));
        width = PackedLinear.Padded(config.HiddenSize);
        var outer = Math.Max(width, PackedLinear.Padded(config.OutputSize));
        x = Room(tokens, width);
        normed = Room(tokens, outer);
        second = Room(tokens, outer);
        heads = Room(tokens, layers[0].QueryKeyValue.Stride);
        wide = Room(tokens, layers[0].Up.Stride);
        attended = Room(tokens, config.Heads * config.HeadSize);
        logits = Room(answered, head.Stride);
        cosines = Room(tokens, config.RotarySize);
        sines = Room(tokens, config.RotarySize);

        float* Room(int rows, int columns)
        {
            // Vectors may read, though not use, a little past the last row.
            memory.Add(zeros([(long)rows * columns + PackedLinear.Panel], ScalarType.Float32).DetachFromDisposeScope());
            return (float*)TensorMemory.Pointer(memory[^1]);
        }
    }

    /// <summary>Logits of a row of the last step, [vocabulary]; valid until the next.</summary>
    public ReadOnlySpan<float> Logits(int row) => new(logits + (long)row * head.Stride, config.VocabularySize);

    /// <summary>Reads tokens and calculates the logits of each one's next.</summary>
    /// <param name="tokens">The tokens.</param>
    /// <param name="slots">The cache's slot of each; one that occurs again goes on in its row.</param>
    /// <param name="wantLogits">Whether they are needed; a prompt's first tokens are read for their keys and values alone.</param>
    public void Run(ReadOnlySpan<int> tokens, int[] slots, bool wantLogits = true)
    {
        var rows = tokens.Length;
        var room = wantLogits ? mostAnswered : most;
        if (rows > room) throw new ArgumentException($"there is room for {room} tokens, not {rows}.", nameof(tokens));
        var positions = Positions(slots);
        var apart = slots.Distinct().Count() == slots.Length;
        Embed(tokens, positions);
        Turn(positions);
        // Where the norm of the input is what attention and feed-forward add to, it takes the input's place.
        var inPlace = config.NormedResidual || !config.PreNorm;
        var forAttention = inPlace ? x : normed;
        var forFeeding = inPlace ? x : second;
        for (var i = 0; i < layers.Length; i++)
        {
            var (layer, index) = (layers[i], i);
            if (config.PreNorm) Norm(layer.Block.AttentionNorm, x, forAttention, rows);
            if (config.ParallelResidual) Norm(layer.Block.FeedForwardNorm, x, forFeeding, rows);
            layer.QueryKeyValue.Apply(forAttention, width, rows, heads);
            Attend(layer, index, slots, positions, apart);
            layer.Output.Apply(attended, config.Heads * config.HeadSize, rows, x, add: true);
            if (!config.PreNorm) Norm(layer.Block.AttentionNorm, x, x, rows);

            if (config.PreNorm && !config.ParallelResidual) Norm(layer.Block.FeedForwardNorm, x, forFeeding, rows);
            FeedForward(layer, forFeeding, rows);
            if (!config.PreNorm) Norm(layer.Block.FeedForwardNorm, x, x, rows);
        }
        foreach (var slot in slots) cache.Lengths[slot]++;
        if (!wantLogits) return;
        var last = x;
        if (body.FinalNorm is { } norm)
        {
            Norm(norm, x, normed, rows);
            last = normed;
        }
        if (projectOut is null)
        {
            head.Apply(last, width, rows, logits);
        }
        else
        {
            projectOut.Apply(last, width, rows, second);
            head.Apply(second, projectOut.Stride, rows, logits);
        }
    }

    int[] Positions(int[] slots)
    {
        var next = (int[])cache.Lengths.Clone();
        return [.. slots.Select(slot => next[slot]++)];
    }

    void Embed(ReadOnlySpan<int> tokens, int[] positions)
    {
        var size = config.OutputSize;
        var stride = PackedLinear.Padded(size);
        var table = Pointer(body.TokenEmbedding);
        var target = projectIn is null ? x : second;
        for (var r = 0; r < tokens.Length; r++)
            new ReadOnlySpan<float>(table + (long)tokens[r] * size, size).CopyTo(new Span<float>(target + (long)r * stride, size));
        projectIn?.Apply(second, stride, tokens.Length, x);
        if (body.PositionEmbedding is { } embedding)
        {
            for (var r = 0; r < tokens.Length; r++)
                VectorMath.Add(x + (long)r * width, Pointer(embedding) + (long)(positions[r] + body.PositionOffset) * config.HiddenSize, config.HiddenSize);
        }
        if (body.EmbeddingNorm is { } norm) Norm(norm, x, x, tokens.Length);
    }

    /// <summary>Cosines and sines of the step's tokens, the same in all layers.</summary>
    void Turn(int[] positions)
    {
        if (body.Rotary is not { } rotary) return;
        var size = config.RotarySize;
        for (var r = 0; r < positions.Length; r++) rotary.Last(positions[r], new Span<float>(cosines + (long)r * size, size), new Span<float>(sines + (long)r * size, size));
    }

    void FeedForward(Layer layer, float* input, int rows)
    {
        var inner = config.IntermediateSize;
        if (layer.Block.Gate is null)
        {
            layer.Up.Apply(input, width, rows, wide, config.Activation);
        }
        else
        {
            layer.Up.Apply(input, width, rows, wide);
            Share(rows, inner, r => VectorMath.Gate(config.Activation, wide + (long)r * layer.Up.Stride, inner));
        }
        layer.Down.Apply(wide, layer.Up.Stride, rows, x, add: true);
    }

    /// <param name="layer">The layer.</param>
    /// <param name="index">Its number.</param>
    /// <param name="slots">The cache's slot of each token.</param>
    /// <param name="positions">Position of each token.</param>
    /// <param name="apart">No two tokens are of the same row.</param>
    void Attend(Layer layer, int index, int[] slots, int[] positions, bool apart)
    {
        var perKey = config.Heads / config.KeyValueHeads;
        var size = config.HeadSize;
        var stride = layer.QueryKeyValue.Stride;
        var scale = (float)(config.ScoreFactor(index) / Math.Sqrt(size));
        var window = config.WindowOf(index) ?? int.MaxValue;
        // Queries, keys and values stand one after the other, or head by head.
        var (step, keys, values) = body.InterleavedHeads ? (3 * size, size, 2 * size) : (size, config.Heads * size, (config.Heads + config.KeyValueHeads) * size);
        var items = slots.Length * config.KeyValueHeads;
        var cost = perKey * size * (positions[0] + 8) * 2;
        if (apart)
        {
            Share(items, cost, item =>
            {
                Keep(item);
                Mix(item);
            });
            return;
        }
        // A token sees those before it, whose keys another thread may be about to write.
        Share(items, size * 32, Keep);
        Share(items, cost, Mix);

        void Keep(int item)
        {
            var (r, keyHead) = (item / config.KeyValueHeads, item % config.KeyValueHeads);
            var row = heads + (long)r * stride;
            Prepare(layer.Block.KeyNorm, row + keys + keyHead * step, r);
            cache.Put(index, slots[r], keyHead, positions[r], row + keys + keyHead * step, row + values + keyHead * step);
        }

        void Mix(int item)
        {
            var (r, keyHead) = (item / config.KeyValueHeads, item % config.KeyValueHeads);
            var row = heads + (long)r * stride;
            var position = positions[r];
            var from = Math.Max(0, position + 1 - window);
            for (var h = keyHead * perKey; h < (keyHead + 1) * perKey; h++)
            {
                var query = row + h * step;
                Prepare(layer.Block.QueryNorm, query, r);
                for (var d = 0; d < size; d++) query[d] *= scale;
                cache.Attend(index, slots[r], keyHead, from, position + 1, query, body.AlibiSlopes?[h] ?? 0, attended + ((long)r * config.Heads + h) * size);
            }
        }
    }

    /// <summary>Norm and rotation of one head's query or key.</summary>
    void Prepare(Norm? norm, float* vector, int row)
    {
        if (norm is not null) VectorMath.Norm(vector, vector, config.HeadSize, Pointer(norm.Weight), null, norm.Epsilon);
        if (body.Rotary is null) return;
        var offset = (long)row * config.RotarySize;
        VectorMath.Rotate(vector, cosines + offset, sines + offset, config.RotarySize);
    }

    void Norm(Norm norm, float* from, float* to, int rows)
    {
        var weight = Pointer(norm.Weight);
        var bias = norm.Bias is { } b ? Pointer(b) : null;
        Share(rows, config.HiddenSize, r => VectorMath.Norm(from + (long)r * width, to + (long)r * width, config.HiddenSize, weight, bias, norm.Epsilon));
    }

    /// <summary>Runs independent items of a given number of operations each, several to a piece of work when they are small.</summary>
    static void Share(int items, int cost, Action<int> body)
    {
        var each = Math.Clamp(32_000 / Math.Max(1, cost), 1, items);
        Workers.Run((items + each - 1) / each, piece =>
        {
            for (var item = piece * each; item < Math.Min(items, (piece + 1) * each); item++) body(item);
        });
    }

    static float* Pointer(Tensor tensor) => (float*)TensorMemory.Pointer(tensor);

    public void Dispose()
    {
        foreach (var tensor in memory) tensor.Dispose();
        foreach (var layer in layers) layer.Dispose();
        projectIn?.Dispose();
        projectOut?.Dispose();
        head.Dispose();
    }

    sealed class Layer(Block block) : IDisposable
    {
        public Block Block => block;
        public PackedLinear QueryKeyValue { get; } = block.QueryKeyValue is { } fused ? PackedLinear.Pack(fused) : PackedLinear.Pack(block.Query!, block.Key!, block.Value!);
        public PackedLinear Output { get; } = PackedLinear.Pack(block.Output);
        /// <summary>The widening map; with a gate, the gate and then it.</summary>
        public PackedLinear Up { get; } = block.Gate is { } gate ? PackedLinear.Pack(gate, block.Up) : PackedLinear.Pack(block.Up);
        public PackedLinear Down { get; } = PackedLinear.Pack(block.Down);

        public void Dispose()
        {
            QueryKeyValue.Dispose();
            Output.Dispose();
            Up.Dispose();
            Down.Dispose();
        }
    }
}
