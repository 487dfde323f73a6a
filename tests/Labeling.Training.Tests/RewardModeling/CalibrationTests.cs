using Labeling.Training.RewardModeling;

namespace Labeling.Training.Tests.RewardModeling;

public class CalibrationTests
{
    /// <summary>log(3) is a confidence of 0.75, log(9) of 0.9: four comparisons at the first, of which three are right, two at the second, of which one is.</summary>
    [Fact]
    public void The_table_and_its_error_by_hand()
    {
        var (three, nine) = (Math.Log(3) + 1e-9, Math.Log(9) + 1e-9);
        var table = Calibration.Table("valid", [three, -three, three, three, nine, -nine]);
        Assert.Equal([0.75, 0.9], table.Select(b => b.From));
        Assert.Equal([0.8, 0.95], table.Select(b => b.To));
        Assert.Equal([4, 2], table.Select(b => b.Comparisons));
        Assert.Equal([0.75, 0.5], table.Select(b => b.Accuracy));
        Assert.Equal(0.75, table[0].Confidence, 1e-6);
        // Right three times in four where it says so, and half the time where it says nine in ten: (4 · 0 + 2 · 0.4) / 6.
        Assert.Equal(0.4 / 3, Calibration.Error(table), 1e-6);
    }

    [Fact]
    public void Comparisons_drawn_from_the_models_own_probabilities_are_calibrated()
    {
        var random = new Random(3);
        var differences = Enumerable.Range(0, 200_000).Select(_ =>
        {
            var d = (random.NextDouble() * 6) - 3;
            return random.NextDouble() < 1 / (1 + Math.Exp(-d)) ? d : -d;
        }).ToList();
        Assert.InRange(Calibration.Error(Calibration.Table("valid", differences)), 0, 0.006);
        // Twice as sure as it should be.
        Assert.InRange(Calibration.Error(Calibration.Table("valid", differences.Select(d => 2 * d))), 0.05, 0.2);
    }

    [Fact]
    public void Certainty_belongs_to_the_last_bin_and_equal_scores_to_the_first()
    {
        var table = Calibration.Table("train", [1e6, 0]);
        Assert.Equal([(0.5, 0.55, 0.0), (0.95, 1.0, 1.0)], table.Select(b => (b.From, b.To, b.Accuracy)));
    }
}
