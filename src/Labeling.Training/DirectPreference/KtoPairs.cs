using Labeling.Training.Data;
using Labeling.Training.Runs;

namespace Labeling.Training.DirectPreference;

/// <summary>Pairs every prompt with the answer of another one.</summary>
internal static class KtoPairs
{
    /// <summary>
    /// For each row its prompt followed by the answer of a row with another prompt: the next such row in an order fixed by the seed. Null when there
    /// are rows and all have the same prompt.
    /// </summary>
    /// <param name="rows">Prompts with their answers.</param>
    /// <param name="context">Longest sequence; the other's answer is cut to it.</param>
    /// <param name="seed">Seed of the order.</param>
    public static List<Sequence>? Mismatch(IReadOnlyList<Sequence> rows, int context, long seed)
    {
        var order = Seeds.Permutation(rows.Count, seed);
        var partners = new int[rows.Count];
        // The first place after the end whose prompt differs from the last row's, then backwards: a run of equal prompts shares what follows it.
        var next = Enumerable.Range(0, rows.Count).Select(place => order[place]).FirstOrDefault(row => !SamePrompt(rows[row], rows[order[^1]]), -1);
        if (next < 0 && rows.Count > 0)
        {
            return null;
        }
        for (var place = rows.Count - 1; place >= 0; place--)
        {
            var row = order[place];
            var after = order[(place + 1) % rows.Count];
            next = SamePrompt(rows[row], rows[after]) ? next : after;
            partners[row] = next;
        }
        return [.. rows.Zip(partners, (row, partner) =>
        {
            var prompt = row.Ids.AsSpan(0, row.From);
            var answer = rows[partner].Ids.AsSpan(rows[partner].From);
            return new Sequence([.. prompt, .. answer[..Math.Min(answer.Length, context - prompt.Length)]], row.From);
        })];
    }

    private static bool SamePrompt(Sequence a, Sequence b) => a.Ids.AsSpan(0, a.From).SequenceEqual(b.Ids.AsSpan(0, b.From));
}
