using Labeling.Training.Runs;

namespace Labeling.Training.Data;

/// <summary>
/// Which rows each step of a run learns from: a new random order every epoch, in which rows of similar length share a batch, so that
/// little is computed on padding. A pure function of the seed and the step.
/// </summary>
public sealed class BatchPlan
{
    /// <summary>What is said about a size of micro-batches, behind the name of what is counted.</summary>
    internal const string MicroBatchHelp = " computed at once; a step adds up the gradients of as many such parts as it needs. Fewer need less memory and change nothing else. 0 = the whole step at once.";

    /// <summary>Rows are sorted by length inside windows of this many batches: enough to be tight, few enough to stay random.</summary>
    private const int WindowBatches = 16;

    private readonly IReadOnlyList<int> lengths;
    private readonly int batchSize;
    private readonly long seed;
    private int epochOfOrder = -1;
    private int[][] batches = [];

    /// <summary>Plans batches.</summary>
    /// <param name="lengths">Tokens of each row.</param>
    /// <param name="batchSize">Rows per batch; an epoch's last batch may have fewer.</param>
    /// <param name="seed">Seed of the order.</param>
    public BatchPlan(IReadOnlyList<int> lengths, int batchSize, long seed)
    {
        (this.lengths, this.batchSize, this.seed) = (lengths, batchSize, seed);
        StepsPerEpoch = (lengths.Count + batchSize - 1) / batchSize;
    }

    /// <summary>Batches of one pass over the rows.</summary>
    public int StepsPerEpoch { get; }

    /// <summary>Row numbers of a step (counted from 0).</summary>
    public IReadOnlyList<int> Rows(int step)
    {
        var epoch = step / StepsPerEpoch;
        if (epoch != epochOfOrder)
        {
            batches = Order(epoch);
            epochOfOrder = epoch;
        }
        return batches[step % StepsPerEpoch];
    }

    /// <summary>All rows once, shortest first, for evaluation.</summary>
    public static IEnumerable<int[]> InOrderOfLength(IReadOnlyList<int> lengths, int batchSize) =>
        Enumerable.Range(0, lengths.Count).OrderBy(i => lengths[i]).Chunk(batchSize);

    /// <summary>
    /// Batch size when the user gave none: the paper's, or less when the data are so few that it would leave under a hundred steps.
    /// </summary>
    public static int SizeFor(int? given, int rows, int epochs, int paper) => given ?? (int)Math.Clamp((long)rows * epochs / 100, Math.Min(4, paper), paper);

    /// <summary>The parts of a batch that are computed at once; a step adds up their gradients.</summary>
    /// <param name="batch">What the step learns from.</param>
    /// <param name="size">Most of a part; 0 for all at once.</param>
    public static IEnumerable<T[]> MicroBatches<T>(IReadOnlyCollection<T> batch, int size) => batch.Chunk(size > 0 ? size : batch.Count);

    private int[][] Order(int epoch)
    {
        var order = Seeds.Permutation(lengths.Count, Seeds.Derive(seed, epoch, 0));
        var made = order.Chunk(WindowBatches * batchSize)
            .SelectMany(window => window.OrderBy(row => lengths[row]).Chunk(batchSize))
            .ToArray();
        return [.. Seeds.Permutation(made.Length, Seeds.Derive(seed, epoch, 1)).Select(i => made[i])];
    }
}
