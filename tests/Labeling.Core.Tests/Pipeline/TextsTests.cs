using System.Text;
using CsCheck;
using Labeling.Core.Features;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Tests.Pipeline;

public sealed class TextsTests
{
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    /// <summary>UTF-16 code units of every sort, many of them around the surrogates.</summary>
    private static readonly Gen<string> AnyUtf16 = Gen.OneOf(Gen.Char['\uD7FE', '\uE001'], Gen.Char['\u0000', '\u0003'], Gen.Char).Array[0, 12].Select(c => new string(c));

    [Fact]
    public void A_text_is_accepted_exactly_when_it_is_real_unicode_without_nul() => AnyUtf16.Sample(text =>
    {
        bool storable;
        try
        {
            storable = !Strict.GetBytes(text).Contains((byte)0);
        }
        catch (EncoderFallbackException)
        {
            storable = false;
        }

        Assert.Equal(storable, Texts.ProblemOf(text) is null);
    });

    [Fact]
    public void Characters_are_counted_as_code_points() => AnyUtf16.Where(text => Texts.ProblemOf(text) is null)
        .Sample(text => Assert.Equal(text.EnumerateRunes().Count(), Texts.Characters(text)));

    [Fact]
    public void A_preview_is_one_line_and_real_unicode() => AnyUtf16.Where(text => Texts.ProblemOf(text) is null).Sample(text =>
    {
        var preview = Texts.Preview(text, 5);
        Assert.Null(Texts.ProblemOf(preview));
        Assert.DoesNotContain('\n', preview);
    });

    [Fact]
    public void A_page_key_comes_back_as_it_was() => Gen.Select(Gen.DateTime, Gen.Guid).Sample((time, id) =>
    {
        var at = new DateTimeOffset(DateTime.SpecifyKind(time, DateTimeKind.Utc));
        Assert.True(PageKey.TryRead(PageKey.Write(at, id), out var readAt, out var readId));
        Assert.Equal((at, id), (readAt, readId));
    });
}
