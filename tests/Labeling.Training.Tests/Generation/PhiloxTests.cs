using Labeling.Training.Generation;

namespace Labeling.Training.Tests.Generation;

public sealed class PhiloxTests
{
    [Fact]
    public void Matches_the_known_answers_of_its_authors()
    {
        // kat_vectors of the Random123 distribution, philox 4x32 with 10 rounds.
        Assert.Equal((0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u), Philox.Block(0, 0, 0));
        Assert.Equal((0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu), Philox.Block(ulong.MaxValue, ulong.MaxValue, ulong.MaxValue));
        Assert.Equal((0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u), Philox.Block(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e));
    }

    [Fact]
    public void Numbers_are_uniform()
    {
        var counts = new int[20];
        for (var i = 0; i < 20000; i++) counts[(int)(Philox.Uniform(42, (ulong)i) * 20)]++;
        // Chi-square with 19 degrees of freedom: 43.8 has a probability of one in a thousand.
        Assert.InRange(counts.Sum(c => (c - 1000.0) * (c - 1000.0) / 1000), 5, 43.8);
    }
}
