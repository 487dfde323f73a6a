using System.Diagnostics;

namespace Labeling.Benchmarks.Peers;

/// <summary>What one turn of a peer took.</summary>
/// <param name="PromptMilliseconds">From the prompts to the first token of every row.</param>
/// <param name="DecodeMilliseconds">From there to the last.</param>
/// <param name="Tokens">The new tokens of every row.</param>
/// <param name="Logits">The logits by which each was the most likely.</param>
internal sealed record GenerationTurn(double PromptMilliseconds, double DecodeMilliseconds, int[][] Tokens, float[][] Logits);

/// <summary>A context of llama.cpp for rows of one length: one sequence per row, all of them in every call.</summary>
internal sealed unsafe class LlamaCppContext : IDisposable
{
    /// <summary>Tokens of a sequence are allotted in pieces of this many.</summary>
    private const int Piece = 256;

    private readonly nint context;
    private readonly int vocabulary;
    private readonly int most;
    private LlamaCpp.Batch batch;

    /// <summary>Makes an empty context.</summary>
    /// <param name="model">The model.</param>
    /// <param name="vocabulary">Its number of tokens.</param>
    /// <param name="rows">Rows at the same time.</param>
    /// <param name="length">Most tokens of a row.</param>
    /// <param name="exact">Attention in float32 throughout; by default llama.cpp takes its faster one, which rounds.</param>
    public LlamaCppContext(nint model, int vocabulary, int rows, int length, bool exact)
    {
        var parameters = LlamaCpp.DefaultContextParams();
        if (!parameters.IsKnown) throw new NotSupportedException("This build of llama.cpp has other context parameters than 0.5.0, for which this benchmark is written.");
        parameters.Sequences = (uint)rows;
        parameters.Context = (uint)(rows * ((length + Piece - 1) / Piece * Piece));
        parameters.Threads = parameters.BatchThreads = Environment.ProcessorCount;
        if (exact) (parameters.FlashAttention, parameters.KeyType, parameters.ValueType) = (0, LlamaCpp.Float32, LlamaCpp.Float32);
        context = LlamaCpp.NewContext(model, parameters);
        if (context == 0) throw new InvalidOperationException("llama.cpp made no context; its message stands above.");
        this.vocabulary = vocabulary;
        most = (int)parameters.Batch;
        batch = LlamaCpp.NewBatch(most, 0, 1);
    }

    /// <summary>Continues all prompts, which have one length, by <paramref name="count"/> most likely tokens.</summary>
    public GenerationTurn Generate(int[][] prompts, int count)
    {
        LlamaCpp.ClearMemory(LlamaCpp.Memory(context), data: false);
        var (length, start) = (prompts[0].Length, Stopwatch.GetTimestamp());
        List<(int Token, float Logit)>[] rows = [.. prompts.Select(_ => new List<(int, float)>())];
        var rowsAtOnce = Math.Min(prompts.Length, most / length);
        for (var first = 0; first < prompts.Length; first += rowsAtOnce)
        {
            batch.Count = 0;
            for (var row = first; row < Math.Min(prompts.Length, first + rowsAtOnce); row++)
                for (var position = 0; position < length; position++) Add(prompts[row][position], row, position, last: position == length - 1);
            Decode(rows.AsSpan(first, batch.Count / length), length);
        }
        var decoding = Stopwatch.GetTimestamp();
        for (var position = length; position < length + count - 1; position++)
        {
            batch.Count = 0;
            for (var row = 0; row < rows.Length; row++) Add(rows[row][^1].Token, row, position, last: true);
            Decode(rows, 1);
        }
        return new(Stopwatch.GetElapsedTime(start, decoding).TotalMilliseconds, Stopwatch.GetElapsedTime(decoding).TotalMilliseconds,
            [.. rows.Select(r => r.Select(t => t.Token).ToArray())], [.. rows.Select(r => r.Select(t => t.Logit).ToArray())]);
    }

    private void Add(int token, int row, int position, bool last)
    {
        var i = batch.Count++;
        (batch.Tokens[i], batch.Positions[i], batch.SequenceCounts[i], batch.Sequences[i][0], batch.Logits[i]) = (token, position, 1, row, (sbyte)(last ? 1 : 0));
    }

    /// <summary>Reads the batch, which has <paramref name="tokens"/> tokens of every row, and appends every row's most likely next token.</summary>
    private void Decode(ReadOnlySpan<List<(int Token, float Logit)>> rows, int tokens)
    {
        if (LlamaCpp.Decode(context, batch) is not 0 and var error) throw new InvalidOperationException($"llama_decode answers {error}.");
        for (var row = 0; row < rows.Length; row++)
            rows[row].Add(MostLikely(LlamaCpp.Logits(context, (row + 1) * tokens - 1)));
    }

    private (int Token, float Logit) MostLikely(float* logits)
    {
        var best = 0;
        for (var token = 1; token < vocabulary; token++)
            if (logits[token] > logits[best]) best = token;
        return (best, logits[best]);
    }

    public void Dispose()
    {
        LlamaCpp.FreeBatch(batch);
        LlamaCpp.FreeContext(context);
    }
}
