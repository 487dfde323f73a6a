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

    /// <summary>Levenshtein distance.</summary>
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var above = row[j];
                row[j] = Math.Min(Math.Min(row[j] + 1, row[j - 1] + 1), diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                diagonal = above;
            }
        }
        return row[b.Length];
    }
}
