using Labeling.Training.Data;

namespace Labeling.Training.Pretraining;

/// <summary>One of several texts that are mixed by weight.</summary>
/// <param name="Name">Its file's name.</param>
/// <param name="Text">Packed one window per batch.</param>
/// <param name="Weight">Relative to the others' weights.</param>
internal sealed record WeightedSource(string Name, PackedText Text, double Weight);

/// <summary>
/// Several texts mixed by weight and not by size, so that a small good one is seen several times while a large one is not seen whole
/// (Brown et al. 2020, arXiv 2005.14165, section 2.2). Each next window comes from the source that is furthest behind its share, so the shares hold
/// to within a window at any time; within a source all windows come once before any comes again.
/// </summary>
internal sealed class WeightedText
{
    private readonly IReadOnlyList<WeightedSource> sources;
    private readonly double[] shares;
    private readonly int batchSize;
    private readonly long[] drawn;
    private long position;

    public WeightedText(IReadOnlyList<WeightedSource> sources, int batchSize)
    {
        (this.sources, this.batchSize) = (sources, batchSize);
        shares = [.. sources.Select(s => s.Weight / sources.Sum(o => o.Weight))];
        drawn = new long[sources.Count];
        Tokens = sources.Sum(s => s.Text.Tokens);
        StepsPerEpoch = (sources.Sum(s => s.Text.StepsPerEpoch) + batchSize - 1) / batchSize;
    }

    /// <summary>Tokens of all sources together.</summary>
    public long Tokens { get; }

    /// <summary>Batches that hold as many windows as all sources together have.</summary>
    public int StepsPerEpoch { get; }

    /// <summary>The windows of a step: a pure function of the step and the sources' seeds.</summary>
    public List<Sequence> Batch(int step)
    {
        GoTo((long)step * batchSize);
        return [.. Enumerable.Range(0, batchSize).SelectMany(_ =>
        {
            var source = Next();
            return sources[source].Text.Batch((int)(drawn[source] - 1));
        })];
    }

    /// <summary>How often each source has been passed over after <paramref name="steps"/> steps (GPT-3's table 2.2).</summary>
    public IEnumerable<(string Name, double Share, long Tokens, double Epochs)> Epochs(int steps)
    {
        GoTo((long)steps * batchSize);
        return [.. sources.Select((s, i) => (s.Name, shares[i], s.Text.Tokens, (double)drawn[i] / s.Text.StepsPerEpoch))];
    }

    private void GoTo(long target)
    {
        if (target < position)
        {
            Array.Clear(drawn);
            position = 0;
        }
        while (position < target)
        {
            Next();
        }
    }

    private int Next()
    {
        position++;
        var behind = 0;
        for (var i = 1; i < shares.Length; i++)
        {
            behind = (shares[i] * position) - drawn[i] > (shares[behind] * position) - drawn[behind] ? i : behind;
        }
        drawn[behind]++;
        return behind;
    }
}
