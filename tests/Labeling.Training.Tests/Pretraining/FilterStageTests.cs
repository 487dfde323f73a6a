using System.Text.Json.Nodes;
using Labeling.Training.Cli.Tests;
using Labeling.Training.Pretraining;
using Labeling.Training.Runs;
using Labeling.Training.Tests.Runs;

namespace Labeling.Training.Tests.Pretraining;

/// <summary>Quality filtering of a generated text of which it is known what is good.</summary>
public sealed class FilterStageTests : IDisposable
{
    private static readonly string[] Common = ["the", "and", "of", "to", "in"];
    private static readonly string[] Prose = ["history", "river", "theory", "castle", "winter", "letter", "garden", "music"];
    private static readonly string[] Spam = ["click", "buy", "casino", "free", "viagra", "login", "cookie", "discount"];
    private readonly StageWorld world = new();

    public void Dispose() => world.Dispose();

    private static object[] Documents(string prefix, int count, int seed, params string[][] vocabularies)
    {
        var random = new Random(seed);
        var words = vocabularies.SelectMany(v => v).ToArray();
        return [.. Enumerable.Range(0, count).Select(i => (object)new { id = $"{prefix}{i}", text = string.Join(' ', Enumerable.Range(0, 60).Select(_ => words[random.Next(words.Length)])) })];
    }

    private string Run(string name, object settings, object[] good, object[] raw) => world.Run(name, "filter", settings, ("good", good), ("train", raw));

    private static string[] Kept(string folder) => [.. RunFiles.Lines(Path.Combine(folder, "output", "kept.jsonl")).Select(l => JsonNode.Parse(l)!["id"]!.GetValue<string>())];

    private static double Number(string folder, string name) => RunFiles.Json(folder, "result.json")["metrics"]![name]!.GetValue<double>();

    [Theory]
    // A twentieth of the raw rows is good, so a perfect classifier gives those 1 / 1.05, and the draw keeps (2 - 1 / 1.05)^-9 = 0.66 of them.
    [InlineData("pareto", 0.5, 0.02)]
    [InlineData("threshold", 0.95, 0.02)]
    public void What_looks_good_is_kept_and_what_does_not_is_dropped_with_its_score(string rule, double keptGood, double keptBad)
    {
        object[] raw = [.. Documents("good", 40, 1, Common, Prose), .. Documents("bad", 760, 2, Common, Spam)];
        var folder = Run(rule, new { rule }, Documents("known", 400, 3, Common, Prose), raw);
        var kept = Kept(folder);
        Assert.True(kept.Count(id => id.StartsWith("good", StringComparison.Ordinal)) >= keptGood * 40, $"{kept.Length} kept");
        Assert.True(kept.Count(id => id.StartsWith("bad", StringComparison.Ordinal)) <= keptBad * 760, $"{kept.Length} kept");
        // Kept rows are the very lines; dropped ones are named, and both together are all.
        var lines = RunFiles.Lines(Path.Combine(folder, "data", "train.jsonl"));
        Assert.Subset(lines.ToHashSet(), RunFiles.Lines(Path.Combine(folder, "output", "kept.jsonl")).ToHashSet());
        var dropped = RunFiles.Lines(Path.Combine(folder, "output", "dropped.jsonl")).Select(l => JsonNode.Parse(l)!).ToList();
        var droppedIds = dropped.Select(d => JsonNode.Parse(lines[int.Parse(d["row"]!.GetValue<string>().Split(':')[1]) - 1])!["id"]!.GetValue<string>());
        Assert.Equal(800, kept.Concat(droppedIds).Distinct().Count());
        Assert.All(dropped, d =>
        {
            Assert.Equal("quality", d["reason"]!.GetValue<string>());
            var score = d["score"]!.GetValue<double>();
            Assert.True(rule == "threshold" ? score < 0.5 && d["draw"] is null : d["draw"]!.GetValue<double>() <= 1 - score);
        });
        Assert.Equal((800.0, (double)kept.Length, 800.0 - kept.Length), (Number(folder, "rows"), Number(folder, "kept"), Number(folder, "dropped")));
        // Good against raw, of which a twentieth is as good: 0.95 + 0.05 / 2 at best.
        Assert.Equal(0.975, Number(folder, "auc"), 0.01);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Rows_that_cannot_be_told_apart_are_kept_at_the_rate_of_the_pareto_law(double alpha)
    {
        var folder = Run($"alike-{alpha}", new { pareto_alpha = alpha }, Documents("g", 2000, 1, Common, Prose), Documents("r", 2000, 2, Common, Prose));
        Assert.Equal(0.5, Number(folder, "auc"), 0.04);
        // P(draw > 1/2) = (3/2)^-alpha; scores scatter around 1/2.
        Assert.Equal(Math.Pow(1.5, -alpha), Number(folder, "kept") / 2000, 0.06);
        // Kept is a sum of 2000 coins with the probabilities that the scores give.
        Assert.Equal(Number(folder, "expected_kept"), Number(folder, "kept"), 4 * Math.Sqrt(2000 * 0.25));
    }

    [Fact]
    public void The_same_seed_keeps_the_same_rows_and_another_one_others()
    {
        var (good, raw) = (Documents("g", 200, 1, Common, Prose), Documents("r", 200, 2, Common, Prose, Spam));
        var first = Run("first", new { pareto_alpha = 1 }, good, raw);
        Assert.Equal(Kept(first), Kept(Run("second", new { pareto_alpha = 1 }, good, raw)));
        var third = world.Make("third", "filter", new { pareto_alpha = 1 }, ("good", good), ("train", raw));
        var run = RunFiles.Json(third, "run.json");
        run["seed"] = 8;
        File.WriteAllText(Path.Combine(third, "run.json"), run.ToJsonString());
        StageWorld.Start(third);
        Assert.NotEqual(Kept(first), Kept(third));
    }

    [Fact]
    public void Without_good_rows_there_is_nothing_to_compare_with()
    {
        var folder = world.Make("none", "filter", new { }, ("train", Documents("r", 5, 1, Common)));
        Assert.Contains("split 'good'", Assert.Throws<BadInputException>(() => StageWorld.Start(folder)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_area_under_the_curve_is_the_share_of_pairs_in_order()
    {
        var random = new Random(4);
        var good = Enumerable.Range(0, 60).Select(_ => random.Next(3, 14) / 10.0).ToArray();
        var raw = Enumerable.Range(0, 80).Select(_ => random.Next(0, 11) / 10.0).ToArray();
        var pairs = good.SelectMany(g => raw.Select(r => g > r ? 1 : g == r ? 0.5 : 0)).Average();
        Assert.Equal(pairs, FilterStage.AreaUnderCurve(good, raw), 1e-12);
    }
}
