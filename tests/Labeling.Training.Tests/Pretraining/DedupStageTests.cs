using System.Text.Json.Nodes;
using Labeling.Training.Cli.Tests;
using Labeling.Training.Pretraining;
using Labeling.Training.Tests.Runs;

namespace Labeling.Training.Tests.Pretraining;

public sealed class DedupStageTests : IDisposable
{
    private readonly StageWorld world = new();

    public void Dispose() => world.Dispose();

    private static string[] Words(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => $"w{random.Next(3000)}")];
    }

    private static string Changed(string[] words, params int[] places) => string.Join(' ', words.Select((w, i) => places.Contains(i) ? "other" + i : w));

    private (string Folder, Dictionary<string, JsonNode> Dropped) Run(string name, object settings, params IReadOnlyList<string> texts)
    {
        var folder = world.Run(name, "dedup", settings, ("train", texts.Select(t => new { text = t })));
        return (folder, RunFiles.Lines(Path.Combine(folder, "output", "dropped.jsonl")).Select(l => JsonNode.Parse(l)!).ToDictionary(d => d["row"]!.GetValue<string>()));
    }

    /// <summary>The definition, with the grams as text: nothing is hashed.</summary>
    private static double Jaccard(string a, string b, int n)
    {
        static HashSet<string> Grams(string text, int n)
        {
            var words = System.Text.RegularExpressions.Regex.Matches(text.ToLowerInvariant(), @"[\p{L}\p{Nd}]+").Select(m => m.Value).ToList();
            return words.Count < n ? [string.Join(' ', words)] : [.. Enumerable.Range(0, words.Count - n + 1).Select(i => string.Join(' ', words.Skip(i).Take(n)))];
        }

        var (x, y) = (Grams(a, n), Grams(b, n));
        return (double)x.Intersect(y).Count() / x.Union(y).Count();
    }

    [Fact]
    public void Copies_and_near_copies_go_and_name_the_row_that_stays()
    {
        var words = Words(60, 1);
        var original = string.Join(' ', words);
        var (folder, dropped) = Run("hand-made", new { },
            original,                                          // 1
            "Something else entirely, of no more than a line", // 2
            original,                                          // 3: the same
            "  " + original.ToUpperInvariant().Replace(" ", ", ") + "!", // 4: the same words
            Changed(words, 30),                                // 5: 51 of 61 five-grams
            Changed(words, 20, 40),                            // 6: 46 of 66, which is under 0.8
            Changed(words, 30),                                // 7: the same as 5
            string.Join(' ', Words(60, 2)),                    // 8
            "🚀🚀", "🎉", "", "?");                             // 9 to 12: no words, and not the same
        Assert.Equal(["train.jsonl:3", "train.jsonl:4", "train.jsonl:5", "train.jsonl:7"], dropped.Keys);
        Assert.All(dropped.Values, d => Assert.Equal("train.jsonl:1", d["of"]!.GetValue<string>()));
        Assert.Equal(["exact", "near", "near", "exact"], dropped.Values.Select(d => d["reason"]!.GetValue<string>()));
        double[] similar = [1, 1, 51.0 / 61, 51.0 / 61];
        Assert.Equal(similar, dropped.Values.Select(d => d["similarity"]!.GetValue<double>()));
        var lines = RunFiles.Lines(Path.Combine(folder, "data", "train.jsonl"));
        Assert.Equal([lines[0], lines[1], lines[5], lines[7], lines[8], lines[9], lines[10], lines[11]], RunFiles.Lines(Path.Combine(folder, "output", "kept.jsonl")));
        var metrics = RunFiles.Json(folder, "result.json")["metrics"]!;
        Assert.Equal((12.0, 8.0, 2.0, 2.0), (metrics["rows"]!.GetValue<double>(), metrics["kept"]!.GetValue<double>(), metrics["dropped_exact"]!.GetValue<double>(), metrics["dropped_near"]!.GetValue<double>()));
    }

    [Theory]
    [InlineData(0.8, 5, 4)]
    [InlineData(0.5, 3, 14)]
    public void It_drops_what_comparing_all_with_all_would_drop(double threshold, int n, int mostChanges)
    {
        // Families of a text and its variants, from nearly equal to hardly alike.
        var random = new Random(5);
        var texts = Enumerable.Range(0, 40).SelectMany(family =>
        {
            var words = Words(80, 100 + family);
            return Enumerable.Range(0, 6).Select(_ => Changed(words, [.. Enumerable.Range(0, random.Next(0, mostChanges)).Select(_ => random.Next(80))]));
        }).OrderBy(_ => random.Next()).ToList();
        var (_, dropped) = Run($"all-{n}", new { threshold, ngram_words = n }, texts);

        // The same rule by brute force: in order, against every row that stays.
        var stays = new List<int>();
        var expected = new Dictionary<int, double>();
        for (var i = 0; i < texts.Count; i++)
        {
            var best = stays.Select(s => Jaccard(texts[i], texts[s], n)).DefaultIfEmpty(0).Max();
            if (best >= threshold)
            {
                expected[i] = best;
            }
            else
            {
                stays.Add(i);
            }
        }
        Assert.InRange(expected.Count, 40, 190);
        var actual = dropped.ToDictionary(d => int.Parse(d.Key.Split(':')[1]) - 1, d => d.Value);
        // Bands miss a pair at the threshold once in a hundred times.
        Assert.InRange(expected.Keys.Except(actual.Keys).Concat(actual.Keys.Except(expected.Keys)).Count(), 0, 2);
        foreach (var (row, why) in actual.Where(a => a.Value["reason"]!.GetValue<string>() == "near"))
        {
            var similarity = Jaccard(texts[row], texts[int.Parse(why["of"]!.GetValue<string>().Split(':')[1]) - 1], n);
            Assert.True(similarity >= threshold);
            Assert.Equal(similarity, why["similarity"]!.GetValue<double>(), 1e-12);
        }
    }

    [Fact]
    public void Signatures_agree_with_the_probability_of_the_similarity()
    {
        const int hashes = 2000;
        var hashing = new MinHash(hashes, 0.8, 3);
        var words = Words(80, 7);
        foreach (var places in new int[][] { [], [40], [10, 30, 50, 70], [.. Enumerable.Range(0, 12).Select(i => i * 6)] })
        {
            var (a, b) = (string.Join(' ', words), Changed(words, places));
            var (x, y) = (MinHash.Shingles(a, 5), MinHash.Shingles(b, 5));
            var exact = Jaccard(a, b, 5);
            Assert.Equal(exact, MinHash.Jaccard(x, y), 1e-12);
            var agreeing = hashing.Signature(x).Zip(hashing.Signature(y)).Count(p => p.First == p.Second) / (double)hashes;
            Assert.InRange(agreeing - exact, -4 * Math.Sqrt(exact * (1 - exact) / hashes) - 1e-9, (4 * Math.Sqrt(exact * (1 - exact) / hashes)) + 1e-9);
        }
    }

    [Fact]
    public void Bands_are_as_long_as_they_may_be_to_find_pairs_at_the_threshold()
    {
        var hashing = new MinHash(128, 0.8, 1);
        Assert.Equal((6, 21), (hashing.RowsPerBand, hashing.Bands));
        Assert.Equal(1 - Math.Pow(1 - Math.Pow(0.8, 6), 21), hashing.Found, 1e-12);
        Assert.True(1 - Math.Pow(1 - Math.Pow(0.8, 7), 128 / 7) < 0.99);
    }
}
