using Labeling.Training.Data;

namespace Labeling.Training.Tests.Data;

public class BatchPlanTests
{
    private static readonly int[] Lengths = [.. Enumerable.Range(0, 103).Select(i => (i * 37 % 50) + 1)];

    [Fact]
    public void Every_epoch_has_every_row_once_in_a_new_order()
    {
        var plan = new BatchPlan(Lengths, 8, seed: 3);
        Assert.Equal(13, plan.StepsPerEpoch);
        var epochs = Enumerable.Range(0, 2).Select(e => Enumerable.Range(e * 13, 13).SelectMany(plan.Rows).ToArray()).ToArray();
        Assert.All(epochs, rows => Assert.Equal(Enumerable.Range(0, 103), rows.Order()));
        Assert.NotEqual(epochs[0], epochs[1]);
    }

    [Fact]
    public void A_step_has_the_same_rows_whatever_was_asked_before()
    {
        var forward = new BatchPlan(Lengths, 8, seed: 3);
        for (var step = 0; step < 20; step++)
        {
            forward.Rows(step);
        }
        Assert.Equal(new BatchPlan(Lengths, 8, seed: 3).Rows(20), forward.Rows(20));
        Assert.NotEqual(new BatchPlan(Lengths, 8, seed: 4).Rows(20), forward.Rows(20));
    }

    [Fact]
    public void Rows_of_a_batch_have_similar_lengths()
    {
        var plan = new BatchPlan(Lengths, 8, seed: 3);
        var padded = Enumerable.Range(0, 13).Sum(s => plan.Rows(s).Count * plan.Rows(s).Max(r => Lengths[r]));
        Assert.True(padded < 1.15 * Lengths.Sum(), $"{padded} places for {Lengths.Sum()} tokens");
    }

    [Theory]
    [InlineData(null, 12_725, 16, 32, 32)]
    [InlineData(null, 100, 16, 32, 16)]
    [InlineData(null, 500, 1, 64, 5)]
    [InlineData(null, 10, 1, 64, 4)]
    [InlineData(7, 10, 1, 64, 7)]
    public void Batch_size_is_the_papers_unless_the_data_are_few(int? given, int rows, int epochs, int paper, int expected) =>
        Assert.Equal(expected, BatchPlan.SizeFor(given, rows, epochs, paper));
}
