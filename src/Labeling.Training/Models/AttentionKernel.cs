using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Labeling.Training.Generation;
using Labeling.Training.Native;

namespace Labeling.Training.Models;

/// <summary>
/// Causal attention and its gradients for one row's key-value head at a time, with the scores of some queries in the processor's cache: they are not kept for the
/// backward pass but calculated again from the keys and each query's log of the sum (Dao et al. 2022, arXiv 2205.14135, algorithms 1 and 4; here a
/// query's scores fit side by side, so its softmax is taken at once). Calculated in float32, whatever the tensors are stored in.
/// </summary>
static unsafe class AttentionKernel
{
    const int TileRows = TileProduct.Rows, TileColumns = TileProduct.Columns;

    /// <summary>Vectors that are fetched ahead of the one that is read.</summary>
    const int Ahead = 8;

    /// <summary>Queries whose scores are there together.</summary>
    const int Block = 32;

    /// <summary>Vectors of one tensor: [batch, heads, time, head size] with any strides, the last being 1.</summary>
    /// <param name="Start">The first number.</param>
    /// <param name="Batch">Distance of two rows, in numbers.</param>
    /// <param name="Head">Distance of two heads.</param>
    /// <param name="Time">Distance of two tokens.</param>
    public readonly record struct Vectors(nint Start, long Batch, long Head, long Time);

    /// <summary>What hides keys beside the causal order, [batch, heads, queries, keys] with any strides, the last being 1: float32 numbers to add, or bytes, 0 where hidden.</summary>
    public readonly record struct Mask(nint Start, bool Bytes, long Batch, long Head, long Query);

    /// <summary>Queries, keys and values, or something for each of them.</summary>
    public readonly record struct Three(Vectors Query, Vectors Key, Vectors Value);

    /// <summary>What the two passes have in common.</summary>
    /// <param name="Batch">Rows.</param>
    /// <param name="Heads">Heads of queries.</param>
    /// <param name="KeyValueHeads">Heads of keys and values; each serves as many neighbouring heads of queries.</param>
    /// <param name="Time">Tokens.</param>
    /// <param name="Size">Head size.</param>
    /// <param name="Scale">Factor of the scores.</param>
    /// <param name="Mask">Of address 0 for none.</param>
    /// <param name="LogSums">Log of each query's sum of exponentials, [batch, heads, time].</param>
    /// <param name="Biases">What is added to the vectors first, each [1, heads, 1, head size]; of address 0 for nothing.</param>
    public readonly record struct Problem(int Batch, int Heads, int KeyValueHeads, int Time, int Size, float Scale, Mask Mask, nint LogSums, Three Biases)
    {
        public int Units => Batch * KeyValueHeads;
        public int Group => Heads / KeyValueHeads;
        public int PaddedTime => RoundUp(Time, TileColumns);
        public int PaddedSize => RoundUp(Size, TileColumns);
    }

    /// <summary>Mixes the values.</summary>
    public static void Forward<T>(Problem problem, Three inputs, Vectors output) where T : IFloatFormat =>
        Workers.Run(problem.Units, unit => Forward<T>(problem, unit / problem.KeyValueHeads, unit % problem.KeyValueHeads, inputs, output));

    /// <summary>Writes the gradients with respect to queries, keys and values, and each row's with respect to their biases, float32 [batch, heads, 1, head size], where there are any.</summary>
    public static void Backward<T>(Problem problem, Three inputs, Vectors output, Vectors outputGradient, Three gradients, Three biasGradients) where T : IFloatFormat =>
        Workers.Run(problem.Units, unit => Backward<T>(problem, unit / problem.KeyValueHeads, unit % problem.KeyValueHeads, inputs, output, outputGradient, gradients, biasGradients));

    static void Forward<T>(Problem p, int row, int keyHead, Three inputs, Vectors output) where T : IFloatFormat
    {
        var (time, size) = (p.PaddedTime, p.PaddedSize);
        var memory = Scratch.Take(2L * time * size + (long)TileRows * time + (2L * TileRows + 1) * size);
        float* keys = memory.Next(time * size), values = memory.Next(time * size), scores = memory.Next(TileRows * time);
        float* queries = memory.Next(TileRows * size), mixed = memory.Next(TileRows * size), bias = memory.Next(size);
        LoadBias<T>(p.Biases.Key, keyHead, p.Size, size, bias);
        LoadColumns<T>(At<T>(inputs.Key, row, keyHead, 0), inputs.Key.Time, p.Time, p.Size, keys, time, size, bias, values);
        LoadBias<T>(p.Biases.Value, keyHead, p.Size, size, bias);
        Load<T>(At<T>(inputs.Value, row, keyHead, 0), inputs.Value.Time, p.Time, p.Size, values, time, size, bias, 1);
        var sums = stackalloc float[TileRows];
        for (var head = keyHead * p.Group; head < (keyHead + 1) * p.Group; head++)
        {
            LoadBias<T>(p.Biases.Query, head, p.Size, size, bias);
            for (var from = 0; from < p.Time; from += TileRows)
            {
                var rows = Math.Min(TileRows, p.Time - from);
                var visible = Math.Min(time, RoundUp(from + TileRows, TileColumns));
                Load<T>(At<T>(inputs.Query, row, head, from), inputs.Query.Time, rows, p.Size, queries, TileRows, size, bias, p.Scale);
                Scores(queries, keys, size, scores, time, visible);
                for (var r = 0; r < TileRows; r++)
                {
                    var line = scores + r * time;
                    Hide(p, row, head, from + r, line, visible);
                    sums[r] = VectorMath.Exponentials(line, visible, out var largest);
                    if (r < rows) ((float*)p.LogSums)[((long)row * p.Heads + head) * p.Time + from + r] = largest + MathF.Log(sums[r]);
                }
                for (var column = 0; column < size; column += TileColumns) TileProduct.Run(scores, time, 1, values + column, size, Math.Min(p.Time, from + TileRows), mixed + column, size);
                for (var r = 0; r < rows; r++) Store<T>(mixed + r * size, 1 / sums[r], At<T>(output, row, head, from + r), p.Size);
            }
        }
    }

    static void Backward<T>(Problem p, int row, int keyHead, Three inputs, Vectors output, Vectors outputGradient, Three results, Three biasResults) where T : IFloatFormat
    {
        var (time, size) = (p.PaddedTime, p.PaddedSize);
        var memory = Scratch.Take(5L * time * size + 2L * Block * time + (3L * Block + 3) * size);
        float* keys = memory.Next(time * size), keyColumns = memory.Next(time * size), valueColumns = memory.Next(time * size);
        float* keyGradients = memory.Next(time * size), valueGradients = memory.Next(time * size);
        float* weights = memory.Next(Block * time), differences = memory.Next(Block * time);
        float* queries = memory.Next(Block * size), gradients = memory.Next(Block * size), outputs = memory.Next(Block * size);
        float* bias = memory.Next(size), none = memory.Next(size), sum = memory.Next(size);
        new Span<float>(none, size).Clear();
        LoadBias<T>(p.Biases.Value, keyHead, p.Size, size, bias);
        LoadColumns<T>(At<T>(inputs.Value, row, keyHead, 0), inputs.Value.Time, p.Time, p.Size, valueColumns, time, size, bias, keys);
        LoadBias<T>(p.Biases.Key, keyHead, p.Size, size, bias);
        LoadColumns<T>(At<T>(inputs.Key, row, keyHead, 0), inputs.Key.Time, p.Time, p.Size, keyColumns, time, size, bias, keys);
        new Span<float>(keyGradients, time * size).Clear();
        new Span<float>(valueGradients, time * size).Clear();
        float* logSums = stackalloc float[Block], shares = stackalloc float[Block];
        for (var head = keyHead * p.Group; head < (keyHead + 1) * p.Group; head++)
        {
            LoadBias<T>(p.Biases.Query, head, p.Size, size, bias);
            new Span<float>(sum, size).Clear();
            for (var from = 0; from < p.Time; from += Block)
            {
                var rows = Math.Min(Block, p.Time - from);
                var tiled = RoundUp(rows, TileRows);
                Load<T>(At<T>(inputs.Query, row, head, from), inputs.Query.Time, rows, p.Size, queries, tiled, size, bias, p.Scale);
                Load<T>(At<T>(outputGradient, row, head, from), outputGradient.Time, rows, p.Size, gradients, tiled, size, none, 1);
                Load<T>(At<T>(output, row, head, from), output.Time, rows, p.Size, outputs, tiled, size, none, 1);
                for (var r = 0; r < tiled; r++)
                {
                    logSums[r] = r < rows ? ((float*)p.LogSums)[((long)row * p.Heads + head) * p.Time + from + r] : 0;
                    shares[r] = Dot(gradients + r * size, outputs + r * size, size);
                }
                for (var first = 0; first < tiled; first += TileRows)
                {
                    var visible = Math.Min(time, RoundUp(from + first + TileRows, TileColumns));
                    Scores(queries + first * size, keyColumns, size, weights + first * time, time, visible);
                    Scores(gradients + first * size, valueColumns, size, differences + first * time, time, visible);
                    for (var r = first; r < first + TileRows; r++)
                    {
                        Hide(p, row, head, from + r, weights + r * time, visible);
                        Differentiate(weights + r * time, differences + r * time, visible, logSums[r], shares[r]);
                    }
                    for (var column = 0; column < size; column += TileColumns)
                        TileProduct.Run(differences + first * time, time, 1, keys + column, size, Math.Min(p.Time, from + first + TileRows), outputs + first * size + column, size);
                }
                AddRows(outputs, rows, size, p.Scale, sum);
                for (var r = 0; r < rows; r++) Store<T>(outputs + r * size, p.Scale, At<T>(results.Query, row, head, from + r), p.Size);
                for (var seen = 0; seen < from + tiled; seen += TileRows)
                {
                    var skipped = Math.Max(0, seen - from);
                    for (var column = 0; column < size; column += TileColumns)
                    {
                        TileProduct.Run(weights + skipped * time + seen, 1, time, gradients + skipped * size + column, size, tiled - skipped, valueGradients + seen * size + column, size, add: true);
                        TileProduct.Run(differences + skipped * time + seen, 1, time, queries + skipped * size + column, size, tiled - skipped, keyGradients + seen * size + column, size, add: true);
                    }
                }
            }
            StoreBias<T>(sum, biasResults.Query, row, head, p.Size);
        }
        Finish<T>(p, row, keyHead, keyGradients, size, results.Key, biasResults.Key, sum);
        Finish<T>(p, row, keyHead, valueGradients, size, results.Value, biasResults.Value, sum);
    }

    /// <summary>Stores the gradients of a head's keys or values, and their sum.</summary>
    static void Finish<T>(Problem p, int row, int head, float* gradients, int size, Vectors result, Vectors biasResult, float* sum) where T : IFloatFormat
    {
        for (var t = 0; t < p.Time; t++) Store<T>(gradients + t * size, 1, At<T>(result, row, head, t), p.Size);
        new Span<float>(sum, size).Clear();
        AddRows(gradients, p.Time, size, 1, sum);
        StoreBias<T>(sum, biasResult, row, head, p.Size);
    }

    static int RoundUp(int count, int multiple) => (count + multiple - 1) / multiple * multiple;

    static float* BiasAt(Vectors bias, int row, int head) => (float*)bias.Start + row * bias.Batch + head * bias.Head;

    static byte* At<T>(Vectors v, int row, int head, int time) where T : IFloatFormat => (byte*)v.Start + (row * v.Batch + head * v.Head + time * v.Time) * T.Bytes;

    /// <summary>Scores of eight queries and the first keys.</summary>
    /// <param name="queries">[8, size].</param>
    /// <param name="columns">Keys as <see cref="LoadColumns{T}"/> writes them.</param>
    /// <param name="size">Padded head size.</param>
    /// <param name="scores">[8, stride].</param>
    /// <param name="stride">Distance of two queries' scores.</param>
    /// <param name="count">Keys, a multiple of 32.</param>
    static void Scores(float* queries, float* columns, int size, float* scores, int stride, int count)
    {
        for (var key = 0; key < count; key += TileColumns) TileProduct.Run(queries, size, 1, columns + (long)key * size, TileColumns, size, scores + key, stride);
    }

    /// <summary>Gives hidden keys the score -∞: those behind the query, and those the mask hides.</summary>
    static void Hide(Problem p, int row, int head, int query, float* scores, int count)
    {
        if (query + 1 < count) new Span<float>(scores + query + 1, count - query - 1).Fill(float.NegativeInfinity);
        if (p.Mask.Start == 0 || query >= p.Time) return;
        var at = row * p.Mask.Batch + head * p.Mask.Head + query * p.Mask.Query;
        if (p.Mask.Bytes) HideUnseen((byte*)p.Mask.Start + at, scores, query + 1);
        else VectorMath.Add(scores, (float*)p.Mask.Start + at, query + 1);
    }

    static void HideUnseen(byte* seen, float* scores, int count)
    {
        var i = 0;
        for (; i + 16 <= count; i += 16)
        {
            var (low, high) = Vector256.Widen(Vector256.Create(Vector128.Load(seen + i), default));
            var (first, second) = Vector256.Widen(low);
            var hidden = Vector512.Equals(Vector512.Create(first, second), Vector512<uint>.Zero).AsSingle();
            Vector512.ConditionalSelect(hidden, Vector512.Create(float.NegativeInfinity), Vector512.Load(scores + i)).Store(scores + i);
        }
        for (; i < count; i++)
        {
            if (seen[i] == 0) scores[i] = float.NegativeInfinity;
        }
    }

    /// <summary>Turns scores into weights, and the weights' gradients into those of the scores: w·(g - Σ w·g), where the sum is also the output's product with its gradient.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Differentiate(float* scores, float* gradients, int count, float logSum, float share)
    {
        var (shift, middle) = (Vector512.Create(logSum), Vector512.Create(share));
        for (var i = 0; i < count; i += 32)
        {
            var (first, second) = (FloatMath.Exp(Vector512.Load(scores + i) - shift), FloatMath.Exp(Vector512.Load(scores + i + 16) - shift));
            first.Store(scores + i);
            second.Store(scores + i + 16);
            (first * (Vector512.Load(gradients + i) - middle)).Store(gradients + i);
            (second * (Vector512.Load(gradients + i + 16) - middle)).Store(gradients + i + 16);
        }
    }

    static float Dot(float* x, float* y, int count)
    {
        var sum = Vector512<float>.Zero;
        for (var i = 0; i < count; i += 16) sum = Vector512.FusedMultiplyAdd(Vector512.Load(x + i), Vector512.Load(y + i), sum);
        return Vector512.Sum(sum);
    }

    /// <summary>Reads vectors as float32, plus a bias and times a factor, with zeros up to a padded shape. Within 32 numbers the order is the format's own, the same for all tensors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Load<T>(byte* from, long stride, int rows, int size, float* to, int paddedRows, int paddedSize, float* bias, float factor) where T : IFloatFormat
    {
        var scale = Vector512.Create(factor);
        for (var r = 0; r < rows; r++, from += stride * T.Bytes, to += paddedSize)
        {
            // Too far apart for the processor to see what comes next.
            for (var line = 0; line < size * T.Bytes; line += 64) VectorMath.Prefetch(from + Ahead * stride * T.Bytes + line);
            var i = 0;
            for (; i + IFloatFormat.Width <= size; i += IFloatFormat.Width)
            {
                var (a, b) = T.Load(from + i * T.Bytes);
                ((a + Vector512.Load(bias + i)) * scale).Store(to + i);
                ((b + Vector512.Load(bias + i + 16)) * scale).Store(to + i + 16);
            }
            for (; i < size; i++) to[i] = (T.Read(from + i * T.Bytes) + bias[i]) * factor;
            for (; i < paddedSize; i++) to[i] = 0;
        }
        new Span<float>(to, (paddedRows - rows) * paddedSize).Clear();
    }

    /// <summary>A head's bias in the order in which vectors are read; zeros where there is none.</summary>
    static void LoadBias<T>(Vectors bias, int head, int size, int paddedSize, float* to) where T : IFloatFormat
    {
        new Span<float>(to, paddedSize).Clear();
        if (bias.Start == 0) return;
        var from = BiasAt(bias, 0, head);
        for (var i = 0; i < size; i++) to[i] = from[IFloatFormat.PlaceOf<T>(i, size)];
    }

    static void StoreBias<T>(float* from, Vectors bias, int row, int head, int size) where T : IFloatFormat
    {
        if (bias.Start == 0) return;
        var to = BiasAt(bias, row, head);
        for (var i = 0; i < size; i++) to[IFloatFormat.PlaceOf<T>(i, size)] = from[i];
    }

    /// <summary>Adds rows, times a factor, to a sum of a multiple of 16 numbers.</summary>
    static void AddRows(float* x, int rows, int size, float factor, float* sum)
    {
        for (var i = 0; i < size; i += 16)
        {
            var total = Vector512<float>.Zero;
            for (var r = 0; r < rows; r++) total += Vector512.Load(x + (long)r * size + i);
            (Vector512.Load(sum + i) + total * factor).Store(sum + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Store<T>(float* from, float factor, byte* to, int size) where T : IFloatFormat
    {
        var scale = Vector512.Create(factor);
        var i = 0;
        for (; i + IFloatFormat.Width <= size; i += IFloatFormat.Width) T.Store(to + i * T.Bytes, Vector512.Load(from + i) * scale, Vector512.Load(from + i + 16) * scale);
        for (; i < size; i++) T.Write(to + i * T.Bytes, from[i] * factor);
    }

    /// <summary>Reads vectors, and writes them again with 32 of them side by side: [rows / 32, size, 32].</summary>
    /// <param name="plain">The vectors one after another, [rows, size], on return.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void LoadColumns<T>(byte* from, long stride, int rows, int size, float* to, int paddedRows, int paddedSize, float* bias, float* plain) where T : IFloatFormat
    {
        Load<T>(from, stride, rows, size, plain, paddedRows, paddedSize, bias, 1);
        for (var r = 0; r < paddedRows; r += 8)
        {
            var target = to + (long)(r / TileColumns) * TileColumns * paddedSize + r % TileColumns;
            for (var i = 0; i < paddedSize; i += 8) TileProduct.Transpose(plain + (long)r * paddedSize + i, paddedSize, target + i * TileColumns, TileColumns);
        }
    }

    /// <summary>Memory of a thread's own, kept for its next use.</summary>
    ref struct Scratch
    {
        const int Alignment = 64;

        [ThreadStatic]
        static float* block;

        [ThreadStatic]
        static long size;

        float* next;

        public static Scratch Take(long floats)
        {
            if (floats > size)
            {
                NativeMemory.AlignedFree(block);
                block = null;
                size = 0;
                block = (float*)NativeMemory.AlignedAlloc((nuint)(floats * sizeof(float)), Alignment);
                size = floats;
            }
            return new Scratch { next = block };
        }

        /// <summary>The next part; lengths are multiples of a cache line.</summary>
        public float* Next(int floats)
        {
            var part = next;
            next += floats;
            return part;
        }
    }
}
