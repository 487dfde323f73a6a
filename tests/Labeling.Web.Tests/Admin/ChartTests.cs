using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;
using Labeling.Web.Components.Pages.Admin.Runs.Charts;

namespace Labeling.Web.Tests.Admin;

public sealed class ChartTests
{
    [Theory]
    [InlineData(0.13, 2.45, new[] { 0.0, 1, 2, 3 })]
    [InlineData(0, 100, new double[] { 0, 25, 50, 75, 100 })]
    [InlineData(-0.03, 0.27, new[] { -0.1, 0, 0.1, 0.2, 0.3 })]
    [InlineData(0.71, 0.7402, new[] { 0.71, 0.72, 0.73, 0.74, 0.75 })]
    [InlineData(-1200, 3400, new double[] { -2000, 0, 2000, 4000 })]
    public void Marks_are_round_and_hold_all_values(double low, double high, double[] marks)
    {
        var scale = Scale.Around([high, low], 4);
        Assert.Equal(marks, scale.Marks);
        Assert.InRange(scale.At(low), 0, 1);
        Assert.InRange(scale.At(high), 0, 1);
    }

    [Fact]
    public void Steps_are_marked_at_whole_numbers_between_the_first_and_the_last()
    {
        Assert.Equal([100, 200, 300], Scale.Around([1, 384], 4, whole: true).Marks);
        Assert.Equal([1, 2, 3], Scale.Around([1, 3], 5, whole: true).Marks);
        Assert.Equal((0.0, 1.0), (Scale.Around([1, 384], 4, whole: true).At(1), Scale.Around([1, 384], 4, whole: true).At(384)));
    }

    [Theory]
    [InlineData(0.0)]
    [InlineData(5.0)]
    [InlineData(-3e-9)]
    [InlineData(1e12)]
    public void A_flat_line_lies_inside_its_axis(double value)
    {
        var scale = Scale.Around([value, value], 4);
        Assert.InRange(scale.At(value), 0.01, 0.99);
        Assert.True(scale.Marks.Count is >= 2 and < 12);
    }

    [Fact]
    public void No_values_and_one_step_still_have_an_axis()
    {
        Assert.Equal((0.0, 1.0), (Scale.Around([], 4).Low, Scale.Around([], 4).High));
        Assert.InRange(Scale.Around([7], 5, whole: true).At(7), 0.01, 0.99);
    }

    [Fact]
    public void Loss_and_accuracy_come_first_with_their_evaluations_and_the_rest_is_kept()
    {
        var points = new[]
        {
            Point(1, ("loss", 2), ("mean_token_accuracy", .1), ("lr", 1e-3), ("something/new", 5)),
            Point(2, ("loss", 1), ("eval/loss", 1.5), ("mean_token_accuracy", .2), ("eval/something", 1), ("something", 2)),
        };

        var (first, more) = ChartData.Of(RunStage.Sft, points);

        Assert.Equal(["Loss", "Accuracy of the next token"], first.Select(c => c.Title));
        Assert.Equal(["loss", "eval/loss"], first[0].Lines.Select(l => l.Name));
        Assert.Equal([new ChartPoint(1, 2), new ChartPoint(2, 1)], first[0].Lines[0].Points);
        Assert.Equal([new ChartPoint(2, 1.5)], first[0].Lines[1].Points);
        Assert.Equal(["lr", "something", "something/new"], more.Select(c => c.Title));
        Assert.Equal(["something", "eval/something"], more[1].Lines.Select(l => l.Name));
    }

    [Fact]
    public void Reward_and_KL_of_PPO_are_told_apart()
    {
        var (first, more) = ChartData.Of(RunStage.Ppo, [Point(1, ("objective/scores", 1), ("objective/rlhf_reward", .9), ("objective/kl", 3), ("val/ratio", 1))]);
        Assert.Equal([("Reward", 2), ("KL from the reference policy", 1)], first.Select(c => (c.Title, c.Lines.Count)));
        Assert.Equal("val/ratio", Assert.Single(more).Title);
    }

    [Fact]
    public void Dpo_shows_how_often_and_how_far_the_preferred_answers_lead()
    {
        var (first, more) = ChartData.Of(RunStage.Dpo,
            [Point(1, ("loss", .7), ("rewards/accuracies", .5), ("rewards/margins", 0), ("rewards/chosen", 0), ("rewards/rejected", 0), ("eval/rewards/accuracies", .6), ("logps/chosen", -9))]);
        Assert.Equal([("Loss", 1), ("Accuracy: pairs put in the order people chose", 2), ("Margin between better and worse", 1), ("Reward against the model it started from", 2)],
            first.Select(c => (c.Title, c.Lines.Count)));
        Assert.Equal("logps/chosen", Assert.Single(more).Title);
    }

    private static MetricPoint Point(int step, params (string Name, double Value)[] values) => new(step, DateTimeOffset.UnixEpoch, values.ToDictionary(v => v.Name, v => v.Value));
}
