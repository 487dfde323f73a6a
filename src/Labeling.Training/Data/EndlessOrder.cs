using Labeling.Training.Runs;

namespace Labeling.Training.Data;

/// <summary>
/// Rows without end: all of them once in a random order, then again in another. Which row stands at a position is a pure function of the
/// seed, so a resumed run needs no memory of what it has drawn.
/// </summary>
/// <param name="count">Number of rows.</param>
/// <param name="seed">Seed of the orders.</param>
internal sealed class EndlessOrder(int count, long seed)
{
    private long passOfOrder = -1;
    private int[] order = [];

    /// <summary>The row at a position, counted from 0 over all passes.</summary>
    public int At(long position)
    {
        var (pass, place) = Math.DivRem(position, count);
        if (pass != passOfOrder)
        {
            order = Seeds.Permutation(count, Seeds.Derive(seed, pass, 0));
            passOfOrder = pass;
        }
        return order[place];
    }

    /// <summary>The rows at <paramref name="length"/> positions from <paramref name="first"/> on.</summary>
    public IEnumerable<int> Range(long first, int length) => Enumerable.Range(0, length).Select(i => At(first + i));
}
