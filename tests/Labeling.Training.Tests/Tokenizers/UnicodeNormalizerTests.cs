using CsCheck;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Tests.Tokenizers;

public class UnicodeNormalizerTests
{
    /// <summary>Values of Python's unicodedata module: text, NFC, NFD, NFKC, NFKD.</summary>
    [Theory]
    [InlineData("e\u0301", "\u00e9", "e\u0301", "\u00e9", "e\u0301")]
    [InlineData("\u1e9b\u0323", "\u1e9b\u0323", "\u017f\u0323\u0307", "\u1e69", "s\u0323\u0307")]
    [InlineData("\u0958", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c", "\u0915\u093c")]
    [InlineData("\ud55c", "\ud55c", "\u1112\u1161\u11ab", "\ud55c", "\u1112\u1161\u11ab")]
    [InlineData("\u1100\u1161\u11a8", "\uac01", "\u1100\u1161\u11a8", "\uac01", "\u1100\u1161\u11a8")]
    [InlineData("\ufb01", "\ufb01", "\ufb01", "fi", "fi")]
    [InlineData("a\u0307\u0323", "\u1ea1\u0307", "a\u0323\u0307", "\u1ea1\u0307", "a\u0323\u0307")]
    [InlineData("\u212b", "\u00c5", "A\u030a", "\u00c5", "A\u030a")]
    [InlineData("\u2460\uff21", "\u2460\uff21", "\u2460\uff21", "1A", "1A")]
    [InlineData("\u0344", "\u0308\u0301", "\u0308\u0301", "\u0308\u0301", "\u0308\u0301")]
    [InlineData("q\u0307\u0323", "q\u0323\u0307", "q\u0323\u0307", "q\u0323\u0307", "q\u0323\u0307")]
    [InlineData("\U0001d15e", "\U0001d157\U0001d165", "\U0001d157\U0001d165", "\U0001d157\U0001d165", "\U0001d157\U0001d165")]
    [InlineData("\u0b47\u0b3e", "\u0b4b", "\u0b47\u0b3e", "\u0b4b", "\u0b47\u0b3e")]
    [InlineData("\u3392", "\u3392", "\u3392", "MHz", "MHz")]
    public void The_four_forms_are_those_of_the_standard(string text, string nfc, string nfd, string nfkc, string nfkd)
    {
        Assert.Equal(nfc, UnicodeNormalizer.Compose(text, compatibility: false));
        Assert.Equal(nfd, UnicodeNormalizer.Decompose(text, compatibility: false));
        Assert.Equal(nfkc, UnicodeNormalizer.Compose(text, compatibility: true));
        Assert.Equal(nfkd, UnicodeNormalizer.Decompose(text, compatibility: true));
    }

    [Fact]
    public void Composition_and_decomposition_undo_each_other()
    {
        var rune = Gen.OneOf(Gen.Int[0x20, 0x3FF], Gen.Int[0x900, 0x11FF], Gen.Int[0x1E00, 0x1FFF], Gen.Int[0x300, 0x36F], Gen.Int[0xAC00, 0xD7A3], Gen.Int[0x1D100, 0x1D1FF]);
        rune.Array[0, 12].Select(codes => string.Concat(codes.Select(char.ConvertFromUtf32))).Sample(text =>
        {
            foreach (var compatibility in new[] { false, true })
            {
                var (composed, decomposed) = (UnicodeNormalizer.Compose(text, compatibility), UnicodeNormalizer.Decompose(text, compatibility));
                if (UnicodeNormalizer.Compose(decomposed, compatibility) != composed || UnicodeNormalizer.Decompose(composed, compatibility) != decomposed
                    || UnicodeNormalizer.Compose(composed, compatibility) != composed)
                {
                    return false;
                }
            }
            return true;
        }, iter: 5000);
    }
}
