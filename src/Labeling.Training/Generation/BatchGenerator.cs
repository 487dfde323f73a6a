using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Generation;

/// <summary>How tokens are chosen.</summary>
/// <param name="Temperature">Logits are divided by it; 0 takes the most likely token.</param>
/// <param name="TopK">Only this many most likely tokens; 0 for all.</param>
/// <param name="TopP">Only the most likely tokens that together reach this probability; 1 for all.</param>
/// <param name="RepetitionPenalty">Logits of tokens that the prompt or the answer already has are divided by it, or multiplied when negative; 1 for none.</param>
public sealed record SamplingOptions(double Temperature = 1, int TopK = 0, double TopP = 1, double RepetitionPenalty = 1)
{
    internal void Validate()
    {
        if (!(Temperature >= 0) || double.IsInfinity(Temperature)) throw new ArgumentOutOfRangeException(nameof(Temperature), Temperature, "The temperature must be 0 or more.");
        if (TopK < 0) throw new ArgumentOutOfRangeException(nameof(TopK), TopK, "top_k must be 0 (off) or more.");
        if (!(TopP > 0) || TopP > 1) throw new ArgumentOutOfRangeException(nameof(TopP), TopP, "top_p must be above 0 and at most 1.");
        if (!(RepetitionPenalty >= 1) || double.IsInfinity(RepetitionPenalty)) throw new ArgumentOutOfRangeException(nameof(RepetitionPenalty), RepetitionPenalty, "The repetition penalty must be 1 (off) or more.");
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
/// <param name="LogProbabilities">For each token, its log-probability under softmax(logits / temperature), without repetition penalty, top-k and top-p: what a policy gradient compares. With temperature 0, that of temperature 1.</param>
/// <param name="FinishReason">Why it ended.</param>
public sealed record Generated(int[] Tokens, float[] LogProbabilities, FinishReason FinishReason);

/// <summary>Continues prompts in a batch, with keys and values cached; what a row draws depends neither on its neighbours nor on when it began.</summary>
public static class BatchGenerator
{
    /// <summary>Most tokens of a step that reads prompts: enough that reading the weights costs little beside the products.</summary>
    internal const int PromptTokens = 256;

    /// <summary>Continues every prompt by up to <paramref name="maxNewTokens"/> tokens.</summary>
    /// <param name="model">The policy.</param>
    /// <param name="prompts">Token ids of each prompt, at least one token each.</param>
    /// <param name="seeds">One random stream per prompt: its draws do not depend on the rest of the batch.</param>
    /// <param name="maxNewTokens">Most new tokens per prompt; the model's positions limit them too.</param>
    /// <param name="sampling">How tokens are chosen; null for plain sampling at temperature 1.</param>
    /// <param name="endTokens">Tokens that end a row; null for the model's own.</param>
    /// <param name="batchSize">Most rows at the same time; when rows end, waiting prompts take their places.</param>
    /// <param name="cancellation">Checked once per token, and while prompts are read once per some hundred of them.</param>
    /// <returns>One result per prompt, in the order of the prompts.</returns>
    /// <exception cref="Runs.NonFiniteException">The model's logits are not finite.</exception>
    /// <exception cref="ArgumentException">A prompt is empty or leaves no room for a token, or seeds are missing.</exception>
    public static Generated[] Generate(CausalLm model, IReadOnlyList<int[]> prompts, IReadOnlyList<ulong> seeds, int maxNewTokens,
        SamplingOptions? sampling = null, IReadOnlyList<int>? endTokens = null, int batchSize = 64, CancellationToken cancellation = default)
    {
        sampling ??= new SamplingOptions();
        sampling.Validate();
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxNewTokens);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
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
        var rows = prompts.Select((p, i) => new Row(p, seeds[i], Math.Min(maxNewTokens, config.MaxPositions - p.Length))).ToList();
        var stop = new HashSet<int>(endTokens ?? config.EosTokenIds);
        if (model.Device.type != TorchSharp.DeviceType.CPU) PaddedGenerator.Run(model, rows, sampling, stop, batchSize, cancellation);
        else Continue(model, rows, sampling, stop, Math.Min(batchSize, rows.Count), cancellation);
        NativeHeap.TrimWhenGrown();
        return [.. rows.Select(r => new Generated([.. r.Tokens], [.. r.LogProbabilities], r.Finished!.Value))];
    }

    /// <summary>Rows side by side in slots, each with a length of its own; when one ends, a waiting one takes its slot.</summary>
    static void Continue(CausalLm model, List<Row> rows, SamplingOptions sampling, HashSet<int> stop, int most, CancellationToken cancellation)
    {
        var config = model.Config;
        // The last token chosen is never read.
        var length = rows.Max(r => r.Prompt.Length + r.Limit - 1);
        var slots = Math.Min(most, RowsInReach(model, length));
        using var cache = new DecodeCache(config, slots, length);
        using var step = new DecodeStep(model, cache, Math.Max(slots, Math.Min(PromptTokens, rows.Sum(r => r.Prompt.Length))), slots);
        var samplers = Enumerable.Range(0, Math.Min(slots, get_num_threads())).Select(_ => new Sampler(config.VocabularySize, sampling)).ToArray();

        var waiting = new Queue<Row>(rows);
        var free = new Stack<int>(Enumerable.Range(0, slots).Reverse());
        var live = new List<Row>();
        while (live.Count + waiting.Count > 0)
        {
            cancellation.ThrowIfCancellationRequested();
            // Reading prompts is cheaper for several together, so a few places may stay empty for a while.
            if (waiting.Count > 0 && (live.Count == 0 || free.Count * 8 >= slots)) Admit(model, waiting, free, live, cache, step, cancellation);
            Reread(model, live, cache, cancellation);
            step.Run([.. live.Select(r => r.Last)], [.. live.Select(r => r.Slot)]);
            Workers.Run(samplers.Length, piece =>
            {
                for (var r = piece; r < live.Count; r += samplers.Length) Choose(live[r], step.Logits(r), samplers[piece], stop);
            });
            foreach (var row in live.Where(r => r.Finished is not null)) free.Push(row.Slot);
            live.RemoveAll(r => r.Finished is not null);
        }
    }

    /// <summary>
    /// How many rows a step is fastest with. A small model's weights cost nothing to read again, so more rows than have their keys and values in a
    /// quarter of the processor's cache, which others use too, only push each other's out of it; a larger model's are read once for as many rows as there are.
    /// </summary>
    static int RowsInReach(CausalLm model, int length)
    {
        const long Small = 8 << 20;
        // Two passes of the product kernels.
        const int Fewest = 2 * LinearKernels.MaxRows;
        if (model.ParameterCount * sizeof(float) > Small) return int.MaxValue;
        return (int)Math.Max(Fewest, ProcessorCache.Largest / 4 / DecodeCache.RowBytes(model.Config, length));
    }

    /// <summary>Lets waiting rows into the free slots. Their prompts are read but for the last token, which is their first step.</summary>
    internal static void Admit(CausalLm model, Queue<Row> waiting, Stack<int> free, List<Row> live, DecodeCache cache, DecodeStep step, CancellationToken cancellation = default)
    {
        var admitted = new List<Row>();
        while (free.Count > 0 && waiting.TryDequeue(out var row))
        {
            row.Slot = free.Pop();
            cache.Lengths[row.Slot] = 0;
            admitted.Add(row);
        }
        live.AddRange(admitted);
        // Several answers to one prompt read it once.
        Read(model, [.. admitted.Where(r => r.Prompt.Length > 1).GroupBy(r => r.Prompt)], cache, step, cancellation);
    }

    /// <summary>Reads what was said in a row again once it is too long for the angles that its keys were made with: the next token sees what a pass over the whole text shows it.</summary>
    static void Reread(CausalLm model, List<Row> live, DecodeCache cache, CancellationToken cancellation)
    {
        if (model.Body.Rotary?.RereadAfter is not { } length) return;
        // A row without tokens was read with its whole prompt's angles just now.
        var outgrown = live.Where(r => r.Tokens.Count > 0 && cache.Lengths[r.Slot] == length);
        ReadWithLibTorch(model, [.. outgrown.GroupBy(r => r.Text)], cache, cancellation);
    }

    /// <summary>Reads texts but for their last tokens into the slots of the rows that begin with them.</summary>
    static void Read(CausalLm model, List<IGrouping<int[], Row>> texts, DecodeCache cache, DecodeStep step, CancellationToken cancellation)
    {
        // A step gives each token the angles of the text that ends with it, which for a long text may not be the whole's.
        var steady = texts.Where(t => t.Key.Length <= model.Config.SteadyPositions).ToList();
        if (steady.Sum(t => t.Key.Length - 1) > FasterInSteps(model)) steady.Clear();
        if (steady.Count > 0) ReadInSteps(steady, cache, step, cancellation);
        ReadWithLibTorch(model, [.. texts.Except(steady).OrderBy(t => t.Key.Length)], cache, cancellation);
    }

    /// <summary>
    /// So many tokens are read faster in steps than by libtorch, which takes long over the many small operations of a pass, and multiplies float32 with
    /// half vectors on processors that are not Intel's. But for bfloat16 it has instructions that .NET does not offer.
    /// </summary>
    static int FasterInSteps(CausalLm model) =>
        Vector512.IsHardwareAccelerated && (model.ComputeType == ScalarType.Float32 || LinearKernels.HasAmd512BitDatapath) ? int.MaxValue : 64;

    static void ReadInSteps(List<IGrouping<int[], Row>> texts, DecodeCache cache, DecodeStep step, CancellationToken cancellation)
    {
        var tokens = texts.SelectMany(t => t.Key[..^1]).ToArray();
        var slots = texts.SelectMany(t => Enumerable.Repeat(t.First().Slot, t.Key.Length - 1)).ToArray();
        for (var from = 0; from < tokens.Length; from += PromptTokens)
        {
            cancellation.ThrowIfCancellationRequested();
            var end = Math.Min(from + PromptTokens, tokens.Length);
            step.Run(tokens.AsSpan(from..end), slots[from..end], wantLogits: false);
        }
        foreach (var text in texts)
            foreach (var row in text.Skip(1)) cache.Copy(text.First().Slot, row.Slot);
    }

    /// <summary>Reads texts with the angles of the whole text for every token, several texts together.</summary>
    /// <param name="model">The policy.</param>
    /// <param name="texts">From the shortest to the longest, so that little of a batch is padding.</param>
    /// <param name="cache">Takes the keys and values.</param>
    /// <param name="cancellation">Checked before each batch.</param>
    static void ReadWithLibTorch(CausalLm model, List<IGrouping<int[], Row>> texts, DecodeCache cache, CancellationToken cancellation)
    {
        const int TokensAtOnce = 4096;
        for (var from = 0; from < texts.Count;)
        {
            cancellation.ThrowIfCancellationRequested();
            var count = 1;
            while (from + count < texts.Count && (count + 1) * (texts[from + count].Key.Length - 1) <= TokensAtOnce) count++;
            Prefill(model, texts[from..(from + count)], cache);
            from += count;
        }
    }

    static void Prefill(CausalLm model, List<IGrouping<int[], Row>> texts, DecodeCache cache)
    {
        using var scope = NewDisposeScope();
        var read = texts.Select(t => t.Key[..^1]).ToList();
        // The last token comes in the first step, with the angles of the text that it belongs to.
        using var past = new KeyValueCache(model.Config, read.Count, read[^1].Length) { Ahead = 1 };
        model.Hidden(TokenBatch.Ids(read, 0), TokenBatch.MaskFor(model.Config, read), past);
        for (var r = 0; r < texts.Count; r++)
            foreach (var row in texts[r]) cache.Import(past, r, read[r].Length, row.Slot);
    }

    internal static void Choose(Row row, ReadOnlySpan<float> logits, Sampler sampler, HashSet<int> stop)
    {
        var (token, logProbability) = sampler.Sample(logits, Philox.Uniform(row.Seed, (ulong)row.Tokens.Count), row.Prompt, CollectionsMarshal.AsSpan(row.Tokens));
        row.Tokens.Add(token);
        row.LogProbabilities.Add(logProbability);
        if (stop.Contains(token)) row.Finished = FinishReason.Stop;
        else if (row.Tokens.Count >= row.Limit) row.Finished = FinishReason.Length;
    }

    internal sealed class Row(int[] prompt, ulong seed, int limit)
    {
        public int[] Prompt => prompt;
        public ulong Seed => seed;
        public int Limit => limit;
        public int Slot { get; set; }
        /// <summary>The prompt and what was chosen so far.</summary>
        public int[] Text => [.. prompt, .. Tokens];
        public int Last => Tokens.Count > 0 ? Tokens[^1] : prompt[^1];
        public List<int> Tokens { get; } = [];
        public List<float> LogProbabilities { get; } = [];
        public FinishReason? Finished { get; set; }
    }
}
