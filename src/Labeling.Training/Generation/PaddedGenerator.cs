using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Training.Generation;

/// <summary>
/// Generation where the model calculates on a GPU, whose memory the processor's kernels cannot reach: rows padded on the left, one pass of libtorch for
/// a token of all of them. Rows that have ended leave the batch when they are half of it; when one outgrows the angles of its text, the batch is read anew.
/// </summary>
static class PaddedGenerator
{
    public static void Run(CausalLm model, List<BatchGenerator.Row> rows, SamplingOptions sampling, HashSet<int> stop, int batchSize, CancellationToken cancellation)
    {
        var sampler = new Sampler(model.Config.VocabularySize, sampling);
        foreach (var batch in rows.OrderBy(r => r.Prompt.Length).Chunk(batchSize)) Continue(model, [.. batch], sampler, stop, cancellation);
    }

    static void Continue(CausalLm model, List<BatchGenerator.Row> rows, Sampler sampler, HashSet<int> stop, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        KeyValueCache? cache = null;
        try
        {
            Choose(rows, Whole(), sampler, stop);
            while (rows.Any(r => r.Finished is null))
            {
                cancellation.ThrowIfCancellationRequested();
                using var step = NewDisposeScope();
                var live = Enumerable.Range(0, rows.Count).Where(i => rows[i].Finished is null).ToArray();
                if (live.Length * 2 <= rows.Count)
                {
                    cache!.Select(tensor(live.Select(i => (long)i).ToArray()));
                    rows = [.. live.Select(i => rows[i])];
                }
                var outgrown = rows.Any(r => r.Finished is null && r.Prompt.Length + r.Tokens.Count - 1 == model.Body.Rotary?.RereadAfter);
                Choose(rows, outgrown ? Whole() : Logits(model, tensor(rows.Select(r => (long)r.Last).ToArray(), [rows.Count, 1]), null, cache!), sampler, stop);
            }
        }
        finally
        {
            cache?.Dispose();
        }

        Tensor Whole()
        {
            var texts = rows.Select(r => r.Text).ToList();
            var width = texts.Max(t => t.Length);
            cache?.Dispose();
            cache = new KeyValueCache(model.Config, rows.Count, width + rows.Max(r => r.Limit - r.Tokens.Count) - 1);
            var ids = texts.SelectMany(t => Enumerable.Repeat(0L, width - t.Length).Concat(t.Select(id => (long)id))).ToArray();
            var mask = texts.SelectMany(t => Enumerable.Range(0, width).Select(at => at >= width - t.Length)).ToArray();
            return Logits(model, tensor(ids, [rows.Count, width]), tensor(mask, [rows.Count, width]), cache);
        }
    }

    /// <summary>Logits of each row's next token, float32 [rows, vocabulary], in the processor's memory.</summary>
    static Tensor Logits(CausalLm model, Tensor ids, Tensor? mask, KeyValueCache cache)
    {
        var hidden = model.Hidden(ids, mask, cache);
        return model.Logits(hidden.select(1, hidden.shape[1] - 1)).cpu();
    }

    static void Choose(List<BatchGenerator.Row> rows, Tensor logits, Sampler sampler, HashSet<int> stop)
    {
        var all = Native.TensorMemory.Span<float>(logits);
        var width = all.Length / rows.Count;
        for (var r = 0; r < rows.Count; r++)
        {
            if (rows[r].Finished is null) BatchGenerator.Choose(rows[r], all.Slice(r * width, width), sampler, stop);
        }
    }
}
