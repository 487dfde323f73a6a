using Labeling.Training.Data;
using Labeling.Training.Runs;

namespace Labeling.Training.Pretraining;

/// <summary>
/// Documents packed to the context length: in a new random order every epoch, each followed by an end token, laid end to end and cut into
/// windows without padding. A window may begin inside one document and end inside another; attention crosses the border, as in GPT-2.
/// </summary>
internal sealed class PackedText
{
    private readonly IReadOnlyList<int[]> documents;
    private readonly int context;
    private readonly int batchSize;
    private readonly long seed;
    private readonly int windows;
    private int epochOfStream = -1;
    private int[] stream = [];

    /// <summary>Packs documents whose tokens already include their end token.</summary>
    public PackedText(IReadOnlyList<int[]> documents, int context, int batchSize, long seed)
    {
        (this.documents, this.batchSize, this.seed) = (documents, batchSize, seed);
        Tokens = documents.Sum(d => (long)d.Length);
        this.context = (int)Math.Min(context, Math.Max(1, Tokens - 1));
        windows = (int)Math.Max(1, (Tokens - 1 + this.context - 1) / this.context);
        StepsPerEpoch = (windows + batchSize - 1) / batchSize;
    }

    /// <summary>Tokens of one pass.</summary>
    public long Tokens { get; }

    /// <summary>Batches of one pass.</summary>
    public int StepsPerEpoch { get; }

    /// <summary>The windows of a step, each predicting all but its first token.</summary>
    public List<Sequence> Batch(int step)
    {
        var epoch = step / StepsPerEpoch;
        if (epoch != epochOfStream)
        {
            stream = [.. Seeds.Permutation(documents.Count, Seeds.Derive(seed, epoch)).SelectMany(i => documents[i])];
            epochOfStream = epoch;
        }
        var first = step % StepsPerEpoch * batchSize;
        return [.. Enumerable.Range(first, Math.Min(batchSize, windows - first)).Select(w =>
        {
            var from = w * context;
            return new Sequence(stream[from..(int)Math.Min(Tokens, from + context + 1)], 1);
        })];
    }
}
