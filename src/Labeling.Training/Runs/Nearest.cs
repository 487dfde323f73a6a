namespace Labeling.Training.Runs;

/// <summary>"Did you mean": the known word closest to a mistyped one.</summary>
internal static class Nearest
{
    public static string Hint(string typed, IEnumerable<string> known)
    {
        var words = known.ToList();
        var best = words.OrderBy(w => Distance(typed.ToLowerInvariant(), w)).ThenBy(w => w, StringComparer.Ordinal).FirstOrDefault();
        return best is null ? "none is known" : $"did you mean '{best}'? Known: {string.Join(", ", words)}";
    }

    /// <summary>Levenshtein distance, with two swapped neighbours counted as one mistake (optimal string alignment).</summary>
    private static int Distance(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
        {
            for (var j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    d[i, j] = i + j;
                    continue;
                }
                d[i, j] = Math.Min(Math.Min(d[i - 1, j], d[i, j - 1]) + 1, d[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                {
                    d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
                }
            }
        }
        return d[a.Length, b.Length];
    }
}
