using Labeling.Training.Models;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Generation;

/// <summary>How tokens are chosen.</summary>
/// <param name="Temperature">Logits are divided by it; 0 takes the most likely token.</param>
/// <param name="TopK">Only this many most likely tokens; 0 for all.</param>
/// <param name="TopP">Only the most likely tokens that together reach this probability; 1 for all.</param>
public sealed record SamplingOptions(double Temperature = 1, int TopK = 0, double TopP = 1)
{
    internal void Validate()
    {
        if (!(Temperature >= 0) || double.IsInfinity(Temperature)) throw new ArgumentOutOfRangeException(nameof(Temperature), Temperature, "The temperature must be 0 or more.");
        if (TopK < 0) throw new ArgumentOutOfRangeException(nameof(TopK), TopK, "top_k must be 0 (off) or more.");
        if (!(TopP > 0) || TopP > 1) throw new ArgumentOutOfRangeException(nameof(TopP), TopP, "top_p must be above 0 and at most 1.");
    }
}

/// <summary>Why a row ended.</summary>
public enum FinishReason
{
    /// <summary>An end token was chosen; it is the last of the tokens.</summary>
    Stop,
    /// <summary>The limit of new tokens or of the model's positions was reached.</summary>
    Length,
}

/// <summary>What was generated for one prompt.</summary>
/// <param name="Tokens">The new tokens, the end token included.</param>
/// <param name="LogProbabilities">For each token, its log-probability under softmax(logits / temperature), without top-k and top-p: what a policy gradient compares. With temperature 0, that of temperature 1.</param>
/// <param name="FinishReason">Why it ended.</param>
public sealed record Generated(int[] Tokens, float[] LogProbabilities, FinishReason FinishReason);

/// <summary>Continues prompts in a batch, with keys and values cached.</summary>
public static class BatchGenerator
{
    /// <summary>Continues every prompt by up to <paramref name="maxNewTokens"/> tokens.</summary>
    /// <param name="model">The policy.</param>
    /// <param name="prompts">Token ids of each prompt, at least one token each.</param>
    /// <param name="seeds">One random stream per prompt: its draws do not depend on the rest of the batch.</param>
    /// <param name="maxNewTokens">Most new tokens per prompt; the model's positions limit them too.</param>
    /// <param name="sampling">How tokens are chosen; null for plain sampling at temperature 1.</param>
    /// <param name="endTokens">Tokens that end a row; null for the model's own.</param>
    /// <param name="cancellation">Checked once per token.</param>
    /// <returns>One result per prompt, in the order of the prompts.</returns>
    /// <exception cref="ArgumentException">A prompt is empty or leaves no room for a token, or seeds are missing.</exception>
    public static Generated[] Generate(CausalLm model, IReadOnlyList<int[]> prompts, IReadOnlyList<ulong> seeds, int maxNewTokens,
        SamplingOptions? sampling = null, IReadOnlyList<int>? endTokens = null, CancellationToken cancellation = default)
    {
        sampling ??= new SamplingOptions();
        sampling.Validate();
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxNewTokens);
        if (seeds.Count != prompts.Count) throw new ArgumentException($"{prompts.Count} prompts need as many seeds, not {seeds.Count}.", nameof(seeds));
        if (prompts.Count == 0) return [];
        var config = model.Config;
        for (var i = 0; i < prompts.Count; i++)
        {
            if (prompts[i].Length == 0) throw new ArgumentException($"Prompt {i} is empty.", nameof(prompts));
            if (prompts[i].Length >= config.MaxPositions) throw new ArgumentException($"Prompt {i} has {prompts[i].Length} tokens; the model has {config.MaxPositions} positions, and the answer needs at least one.", nameof(prompts));
            if (prompts[i].AsSpan().IndexOfAnyExceptInRange(0, config.VocabularySize - 1) is >= 0 and var at) throw new ArgumentException($"Prompt {i} has token {prompts[i][at]} at {at}; the vocabulary has {config.VocabularySize}.", nameof(prompts));
        }

        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        var rows = prompts.Select((p, i) => new Row(i, p, seeds[i], Math.Min(maxNewTokens, config.MaxPositions - p.Length))).ToList();
        var width = prompts.Max(p => p.Length);
        var stop = new HashSet<int>(endTokens ?? config.EosTokenIds);
        var sampler = new Sampler(config.VocabularySize, sampling);
        using var cache = new KeyValueCache(config, rows.Count, Math.Min(width + rows.Max(r => r.Limit), Math.Max(config.MaxPositions, width + rows.Max(r => r.Limit))));

        var logits = Prefill(model, rows, width, cache);
        var results = new Generated[prompts.Count];
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            Choose(rows, logits, sampler, stop);
            logits.Dispose();
            foreach (var row in rows.Where(r => r.Finished is not null && results[r.Index] is null))
                results[row.Index] = new Generated([.. row.Tokens], [.. row.LogProbabilities], row.Finished!.Value);
            var live = rows.Count(r => r.Finished is null);
            if (live == 0) break;
            // Leaving costs a copy of the cache, so rows leave when a quarter of the batch is done.
            if (live <= rows.Count * 3 / 4) rows = Compact(rows, cache);
            logits = Next(model, rows, cache);
        }
        NativeHeap.TrimWhenGrown();
        return results;
    }

    static Tensor Prefill(CausalLm model, List<Row> rows, int width, KeyValueCache cache)
    {
        using var scope = NewDisposeScope();
        var ids = new long[rows.Count * width];
        var mask = new bool[ids.Length];
        var padded = false;
        for (var r = 0; r < rows.Count; r++)
        {
            var prompt = rows[r].Prompt;
            var start = r * width + width - prompt.Length;
            padded |= prompt.Length < width;
            for (var i = 0; i < prompt.Length; i++) (ids[start + i], mask[start + i]) = (prompt[i], true);
        }
        var hidden = model.Hidden(tensor(ids, [rows.Count, width]), padded ? tensor(mask, [rows.Count, width]) : null, cache);
        return model.Logits(hidden.select(1, width - 1)).contiguous().MoveToOuterDisposeScope();
    }

    static Tensor Next(CausalLm model, List<Row> rows, KeyValueCache cache)
    {
        using var scope = NewDisposeScope();
        var ids = new long[rows.Count];
        for (var r = 0; r < ids.Length; r++) ids[r] = rows[r].Tokens[^1];
        var hidden = model.Hidden(tensor(ids, [ids.Length, 1]), null, cache);
        return model.Logits(hidden.select(1, 0)).contiguous().MoveToOuterDisposeScope();
    }

    static void Choose(List<Row> rows, Tensor logits, Sampler sampler, HashSet<int> stop)
    {
        var values = TensorMemory.Span<float>(logits);
        var vocabulary = (int)logits.shape[1];
        for (var r = 0; r < rows.Count; r++)
        {
            var row = rows[r];
            if (row.Finished is not null) continue;
            var (token, logProbability) = sampler.Sample(values.Slice(r * vocabulary, vocabulary), Philox.Uniform(row.Seed, (ulong)row.Tokens.Count));
            row.Tokens.Add(token);
            row.LogProbabilities.Add(logProbability);
            if (stop.Contains(token)) row.Finished = FinishReason.Stop;
            else if (row.Tokens.Count >= row.Limit) row.Finished = FinishReason.Length;
        }
    }

    static List<Row> Compact(List<Row> rows, KeyValueCache cache)
    {
        using var scope = NewDisposeScope();
        var kept = Enumerable.Range(0, rows.Count).Where(i => rows[i].Finished is null).ToArray();
        cache.Select(tensor(kept.Select(i => (long)i).ToArray()));
        return [.. kept.Select(i => rows[i])];
    }

    sealed class Row(int index, int[] prompt, ulong seed, int limit)
    {
        public int Index => index;
        public int[] Prompt => prompt;
        public ulong Seed => seed;
        public int Limit => limit;
        public List<int> Tokens { get; } = [];
        public List<float> LogProbabilities { get; } = [];
        public FinishReason? Finished { get; set; }
    }
}
