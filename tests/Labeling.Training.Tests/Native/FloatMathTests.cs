using System.Runtime.Intrinsics;
using Labeling.Training.Native;

namespace Labeling.Training.Tests.Native;

public sealed class FloatMathTests
{
    [Fact]
    public void Exponentials_are_within_two_units_of_the_last_place()
    {
        for (var x = -87.3f; x < 88.3f; x += 0.00371f)
        {
            var expected = Math.Exp(x);
            var actual = FloatMath.Exp(Vector512.Create(x))[5];
            Assert.True(Math.Abs(actual - expected) <= 2.0 * ((double)MathF.BitIncrement((float)expected) - (float)expected), $"e^{x} is {expected}, not {actual}");
        }
    }

    [Theory]
    [InlineData(0f, 1f)]
    [InlineData(-88f, 0f)]
    [InlineData(float.MinValue, 0f)]
    [InlineData(float.NegativeInfinity, 0f)]
    [InlineData(float.NaN, float.NaN)]
    public void Exponentials_at_the_ends(float x, float expected) => Assert.Equal(expected, FloatMath.Exp(Vector512.Create(x))[0]);

    [Fact]
    public void Sigmoids_are_within_four_units_of_the_last_place()
    {
        for (var x = -87f; x < 88.3f; x += 0.00371f)
        {
            var expected = 1 / (1 + Math.Exp(-x));
            var actual = FloatMath.Sigmoid(Vector512.Create(x))[5];
            Assert.True(Math.Abs(actual - expected) <= 4.0 * ((double)MathF.BitIncrement((float)expected) - (float)expected), $"the sigmoid of {x} is {expected}, not {actual}");
        }
    }

    [Theory]
    [InlineData(float.NegativeInfinity, 0f)]
    [InlineData(-1e30f, 0f)]
    [InlineData(1e30f, 1f)]
    [InlineData(float.PositiveInfinity, 1f)]
    [InlineData(float.NaN, float.NaN)]
    public void Sigmoids_at_the_ends(float x, float expected) => Assert.Equal(expected, FloatMath.Sigmoid(Vector512.Create(x))[0], 1e-30f);
}
