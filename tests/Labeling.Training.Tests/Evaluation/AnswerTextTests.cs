using Labeling.Training.Evaluation;

namespace Labeling.Training.Tests.Evaluation;

public class AnswerTextTests
{
    [Theory]
    [InlineData("The Eiffel Tower.", "eiffel tower")]
    [InlineData("  a  \"Dog\" ", "dog")]
    [InlineData("don't", "dont")]
    [InlineData("A", "a")]
    [InlineData("$1,000.00", "1000")]
    [InlineData("-3.50", "-3.5")]
    [InlineData("007 agents!", "7 agents")]
    [InlineData("42.", "42")]
    [InlineData("1,2", "12")]
    [InlineData("...", "")]
    public void Normalisation(string text, string expected) => Assert.Equal(expected, AnswerText.Normalise(text));

    [Fact]
    public void An_answer_matches_any_accepted_one_and_nothing_matches_nothing()
    {
        Assert.True(AnswerText.Matches("The 18", ["eighteen", "18.0"]));
        Assert.False(AnswerText.Matches("18", ["-18", "1.8"]));
        Assert.False(AnswerText.Matches("A", ["The"]));
        Assert.False(AnswerText.Matches("!", ["?"]));
    }

    [Theory]
    [InlineData("2 and 2 make 4. The answer is 4.\nmore", "4.")]
    [InlineData("the answer is 3? No: THE ANSWER IS: 5", "5")]
    [InlineData("I do not know", null)]
    public void The_answer_of_a_chain_of_thought_stands_after_the_last_marker(string text, string? expected) => Assert.Equal(expected, AnswerText.After(text, "The answer is"));

    [Fact]
    public void Wilsons_interval()
    {
        // Values of the textbook formula at z = 1.96.
        var (low, high) = Intervals.Wilson(8, 10);
        Assert.Equal(0.490162, low, 1e-6);
        Assert.Equal(0.943318, high, 1e-6);
        // All or none: the bound is z²/(n + z²), not a point.
        (low, high) = Intervals.Wilson(0, 10);
        Assert.Equal(0, low, 1e-12);
        Assert.Equal(3.841459 / 13.841459, high, 1e-6);
        (low, high) = Intervals.Wilson(50.5, 101);
        Assert.Equal(1, low + high, 1e-12);
    }
}
