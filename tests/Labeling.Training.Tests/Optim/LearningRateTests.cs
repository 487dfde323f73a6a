using Labeling.Training.Optim;

namespace Labeling.Training.Tests.Optim;

public sealed class LearningRateTests
{
    [Fact]
    public void Constant_with_warm_up_from_a_tenth()
    {
        var rate = new LearningRate(ScheduleKind.Constant, 2.0, 100, WarmupSteps: 10, WarmupStartFraction: 0.1);
        Assert.Equal(2 * (0.1 + 0.09), rate.At(0), 12);
        Assert.Equal(2.0, rate.At(9), 12);
        Assert.Equal(2.0, rate.At(1000), 12);
    }

    [Fact]
    public void Linear_falls_to_its_floor()
    {
        var rate = new LearningRate(ScheduleKind.Linear, 1.0, 110, WarmupSteps: 10, FloorFraction: 0.2);
        Assert.Equal(0.1, rate.At(0), 12);
        Assert.Equal(1.0, rate.At(10), 12);
        Assert.Equal(0.6, rate.At(60), 12);
        Assert.Equal(0.2, rate.At(110), 12);
        Assert.Equal(0.2, rate.At(500), 12);
    }

    [Fact]
    public void Cosine_is_half_way_in_the_middle_and_at_a_tenth_in_the_end()
    {
        var rate = new LearningRate(ScheduleKind.Cosine, 1e-5, 1000, FloorFraction: 0.1);
        Assert.Equal(1e-5, rate.At(0), 15);
        Assert.Equal(0.55e-5, rate.At(500), 15);
        Assert.Equal(1e-5 * (0.1 + 0.9 * 0.5 * (1 + Math.Cos(Math.PI / 4))), rate.At(250), 15);
        Assert.Equal(1e-6, rate.At(1000), 15);
    }
}
