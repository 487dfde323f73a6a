using Labeling.AppHost.Demo;
using Labeling.AppHost.Starter;

namespace Labeling.AppHost.Tests.Demo;

public sealed class ComparisonsTests
{
    // Ranks 1, 2, 2: two ordered pairs. Scores agree with one and tie the other: 1.5 of 2. Truth has 1-2 right and 1-3 wrong: 1 of 2.
    private static readonly JudgedAnswer[] Ranking = [new(1, 2.0, 0.5), new(2, 1.0, -1), new(2, 3.0, 0.5)];

    [Fact]
    public void Pairs_a_person_tied_are_not_counted_and_equal_scores_are_half_right()
    {
        Assert.Equal(0.75, Comparisons.RewardAccuracy([Ranking]).Value, 12);
        Assert.Equal(0.5, Comparisons.TruthAccuracy([Ranking]).Value, 12);
        // Truth orders 3 > 1 > 2; scores tie 1 and 3 and put both above 2: 2.5 of 3.
        Assert.Equal(2.5 / 3, Comparisons.RewardAgainstTruth([Ranking]).Value, 12);
    }

    [Fact]
    public void Win_rate_counts_a_tie_as_half()
    {
        Interval rate = Comparisons.WinRate([(1, 2), (1, 2), (2, 2), (3, 1)]);
        Assert.Equal(2.5 / 4, rate.Value, 12);
        Assert.Equal(4, rate.N);
    }

    [Fact]
    public void Interval_of_a_share_is_near_the_normal_one_when_there_is_one_point_per_prompt()
    {
        Interval interval = Comparisons.WinRate(Enumerable.Range(0, 400).Select(i => i < 260 ? (1, 2) : (2, 1)));
        double half = 1.96 * Math.Sqrt(0.65 * 0.35 / 400);
        Assert.Equal(0.65, interval.Value, 12);
        Assert.Equal(0.65 - half, interval.Low, 0.006);
        Assert.Equal(0.65 + half, interval.High, 0.006);
    }

    [Fact]
    public void Interval_widens_when_points_of_one_prompt_stand_and_fall_together()
    {
        List<(double, int)> together = [.. Enumerable.Range(0, 50).Select(i => (i < 30 ? 6.0 : 0.0, 6))];
        List<(double, int)> apart = [.. Enumerable.Range(0, 300).Select(i => (i < 180 ? 1.0 : 0.0, 1))];
        Assert.Equal(Interval.Of(apart).Value, Interval.Of(together).Value, 12);
        Assert.True(Width(together) > 2 * Width(apart), "six pairs of one ranking are not six independent pairs");

        static double Width(List<(double, int)> groups) => Interval.Of(groups) is var i ? i.High - i.Low : 0;
    }

    [Fact]
    public void Same_labels_give_the_same_interval() =>
        Assert.Equal(Comparisons.RewardAccuracy([Ranking, Ranking]), Comparisons.RewardAccuracy([Ranking, Ranking]));

    [Fact]
    public void Bootstrap_covers_the_true_share_about_95_times_in_100()
    {
        WorldRandom random = new(3);
        int covered = 0;
        for (int trial = 0; trial < 300; trial++)
        {
            Interval interval = Interval.Of([.. Enumerable.Range(0, 150).Select(_ => (random.Chance(0.6) ? 1.0 : 0.0, 1))]);
            covered += interval.Low <= 0.6 && 0.6 <= interval.High ? 1 : 0;
        }
        Assert.InRange(covered, 300 * 0.90, 300 * 0.985);
    }

    [Theory]
    [InlineData(0.60, 0.55, 0.78, 0.80, 0.70, 0.65, 0)]
    [InlineData(0.52, 0.49, 0.78, 0.80, 0.70, 0.65, 1)]
    [InlineData(0.60, 0.55, 0.70, 0.80, 0.70, 0.65, 1)]
    [InlineData(0.60, 0.55, 0.78, 0.80, 0.50, 0.45, 1)]
    [InlineData(0.40, 0.35, 0.50, 0.80, 0.40, 0.35, 3)]
    public void Result_names_each_stage_that_did_not_do_its_work(double sft, double sftLow, double reward, double truth, double ppo, double ppoLow, int failures)
    {
        DemoResult result = new(
            new(reward, 0, 1, 100), new(truth, 0, 1, 100), new(reward, 0, 1, 100), new(sft, sftLow, 1, 100), new(ppo, ppoLow, 1, 100), 2.5,
            new Dictionary<string, double>(), new Dictionary<string, double> { ["sft"] = 40, ["total"] = 300 });
        Assert.Equal(failures, result.Failures().Count);
        using System.Text.Json.JsonDocument json = System.Text.Json.JsonDocument.Parse(result.ToJson());
        Assert.Equal(sft, json.RootElement.GetProperty("sft_win_rate").GetProperty("value").GetDouble());
        Assert.Equal(ppoLow, json.RootElement.GetProperty("ppo_win_rate").GetProperty("low").GetDouble());
        Assert.Equal(truth, json.RootElement.GetProperty("reward_accuracy_of_truth").GetProperty("value").GetDouble());
        Assert.Equal(100, json.RootElement.GetProperty("reward_accuracy").GetProperty("n").GetInt32());
        Assert.Equal(2.5, json.RootElement.GetProperty("kl").GetDouble());
        Assert.Equal(300, json.RootElement.GetProperty("seconds").GetProperty("total").GetDouble());
    }
}
