using Labeling.Web.Components.Pages.Admin;

namespace Labeling.Web.Tests.Admin;

public sealed class WordsTests
{
    [Theory]
    [InlineData(0.0, "0")]
    [InlineData(0.123456, "0.1235")]
    [InlineData(-0.0126, "-0.0126")]
    [InlineData(12.3456, "12.35")]
    [InlineData(345600, "345,600")]
    [InlineData(0.00004, "4e-5")]
    [InlineData(12345678, "1.235e+7")]
    public void Figures_have_four_digits(double value, string text) => Assert.Equal(text, Words.Figure(value));

    [Theory]
    [InlineData(0, "0 s")]
    [InlineData(59.9, "59 s")]
    [InlineData(61, "1 min 1 s")]
    [InlineData(7260, "2 h 1 min")]
    [InlineData(200_000, "2 days 7 h")]
    public void Times_are_said_in_two_units(double seconds, string text) => Assert.Equal(text, Words.Duration(seconds));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(999, "999 B")]
    [InlineData(11_600, "11.6 KB")]
    [InlineData(4_912_344, "4.9 MB")]
    [InlineData(350_000_000_000, "350 GB")]
    public void Sizes_are_said_in_the_fitting_unit(long bytes, string text) => Assert.Equal(text, Words.Bytes(bytes));

    [Fact]
    public void One_is_not_many()
    {
        Assert.Equal("1 person", Words.Count(1, "person", "people"));
        Assert.Equal("1,200 people", Words.Count(1200, "person", "people"));
        Assert.Equal("0 rows", Words.Count(0, "row"));
    }
}
