namespace Labeling.Training.Tokenizers;

/// <summary>Byte-pair merges by rank: repeatedly joins the adjacent pair that was learned first (Sennrich et al. 2016, arXiv 1508.07909).</summary>
internal sealed class BpeMerges(IReadOnlyDictionary<long, (int Rank, int Id)> merges)
{
    /// <summary>Above this length the quadratic scan loses to a queue.</summary>
    private const int ShortPiece = 48;

    public static long Key(int left, int right) => ((long)left << 32) | (uint)right;

    /// <summary>Merges <paramref name="symbols"/> (token ids) in place and returns how many are left.</summary>
    public int Apply(Span<int> symbols) => symbols.Length <= ShortPiece ? ApplyByScan(symbols) : ApplyByQueue(symbols);

    private int ApplyByScan(Span<int> symbols)
    {
        var count = symbols.Length;
        while (count > 1)
        {
            var best = (Rank: int.MaxValue, Id: 0);
            var at = -1;
            for (var i = 0; i + 1 < count; i++)
            {
                if (merges.TryGetValue(Key(symbols[i], symbols[i + 1]), out var merge) && merge.Rank < best.Rank)
                {
                    (best, at) = (merge, i);
                }
            }
            if (at < 0)
            {
                break;
            }
            symbols[at] = best.Id;
            symbols[(at + 2)..count].CopyTo(symbols[(at + 1)..]);
            count--;
        }
        return count;
    }

    private int ApplyByQueue(Span<int> symbols)
    {
        var n = symbols.Length;
        var next = new int[n];
        var previous = new int[n];
        var queue = new PriorityQueue<(int At, int Left, int Right, int Id), (int Rank, int At)>();
        for (var i = 0; i < n; i++)
        {
            next[i] = i + 1;
            previous[i] = i - 1;
        }
        for (var i = 0; i + 1 < n; i++)
        {
            Offer(symbols, i, i + 1);
        }
        while (queue.TryDequeue(out var pair, out _))
        {
            var right = next[pair.At];
            // The queue keeps entries whose neighbours have merged away; symbols[...] = -1 marks a swallowed place.
            if (right >= n || symbols[pair.At] != pair.Left || symbols[right] != pair.Right)
            {
                continue;
            }
            symbols[pair.At] = pair.Id;
            symbols[right] = -1;
            next[pair.At] = next[right];
            if (next[right] < n)
            {
                previous[next[right]] = pair.At;
                Offer(symbols, pair.At, next[right]);
            }
            if (previous[pair.At] >= 0)
            {
                Offer(symbols, previous[pair.At], pair.At);
            }
        }
        var count = 0;
        for (var i = 0; i < n; i = next[i])
        {
            symbols[count++] = symbols[i];
        }
        return count;

        void Offer(Span<int> s, int left, int right)
        {
            if (merges.TryGetValue(Key(s[left], s[right]), out var merge))
            {
                queue.Enqueue((left, s[left], s[right], merge.Id), (merge.Rank, left));
            }
        }
    }
}
