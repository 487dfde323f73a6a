using System.Diagnostics;
using AngleSharp.Dom;
using Bunit;
using Labeling.Web.Components.Shared;
using Labeling.Web.Text;
using Microsoft.Extensions.DependencyInjection;

namespace Labeling.Web.Tests.Text;

public sealed class MarkdownTests : BunitContext
{
    private static readonly string[] Attributes = ["href", "title", "target", "rel", "class", "dir", "tabindex", "start"];

    public MarkdownTests() => Services.AddSingleton<MarkdownRenderer>();

    [Theory]
    [MemberData(nameof(HostileTexts.All), MemberType = typeof(HostileTexts))]
    public void Hostile_text_becomes_nothing_that_runs_or_loads(string text)
    {
        var shown = Show(text);

        foreach (var element in shown.QuerySelectorAll("*"))
        {
            Assert.DoesNotContain(element.LocalName, (string[])["script", "style", "iframe", "object", "embed", "svg", "math", "img", "video", "audio", "source", "form", "input", "button", "base", "link", "meta", "template", "noscript"]);
            Assert.All(element.Attributes, a => Assert.Contains(a.Name, Attributes));
            if (element.GetAttribute("href") is { } href)
            {
                Assert.Matches("^(https?://|mailto:)", href);
                Assert.Equal("_blank", element.GetAttribute("target"));
                Assert.Contains("noopener", element.GetAttribute("rel"));
            }
        }
    }

    [Fact]
    public void Raw_html_is_shown_as_the_text_it_is() =>
        Assert.Contains("<b onclick=\"x()\">hello</b>", Show("a <b onclick=\"x()\">hello</b> c").TextContent);

    [Fact]
    public void An_image_becomes_a_link_that_says_so()
    {
        var link = Show("![a cat](https://evil.example/track.png)").QuerySelector("a")!;
        Assert.Equal("https://evil.example/track.png", link.GetAttribute("href"));
        Assert.Equal("Image, not loaded: a cat", link.TextContent);
    }

    [Fact]
    public void A_refused_link_shows_where_it_would_have_led()
    {
        var shown = Show("[click](javascript:alert(1))");
        Assert.Null(shown.QuerySelector("a"));
        Assert.Equal("click (javascript:alert(1))", shown.TextContent.Trim());
    }

    [Fact]
    public void Tables_code_lists_and_quotes_are_formatted()
    {
        var shown = Show("| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nprint(1)\n```\n\n- x\n- y\n\n> z\n\n# Title");
        Assert.Equal(2, shown.QuerySelectorAll("td").Length);
        Assert.Equal("print(1)\n", shown.QuerySelector("pre code")!.TextContent);
        Assert.Equal(2, shown.QuerySelectorAll("li").Length);
        Assert.NotNull(shown.QuerySelector("blockquote"));
        Assert.Equal("Title", shown.QuerySelector("h3")!.TextContent);
    }

    [Fact]
    public void Single_line_breaks_stay() => Assert.NotNull(Show("one\ntwo").QuerySelector("br"));

    [Theory]
    [InlineData("abc\u202Edef", "U+202E")]
    [InlineData("pass\u200Bword", "U+200B")]
    [InlineData("a\u2066b", "U+2066")]
    [InlineData("a\u200Db", "U+200D")]
    [InlineData("tag\U000E0041", "U+E0041")]
    [InlineData("bell\u0007", "U+0007")]
    [InlineData("`code\u202E`", "U+202E")]
    public void Characters_that_hide_are_marked(string text, string mark) =>
        Assert.Equal(mark, Show(text).QuerySelector(".hidden-character")!.TextContent);

    [Theory]
    [InlineData("👩‍👩‍👧 family")] // joiners between emoji
    [InlineData("می\u200Cخواهم")] // the non-joiner of Persian
    [InlineData("مرحبا")]
    public void Characters_with_an_honest_use_are_left_alone(string text)
    {
        var shown = Show(text);
        Assert.Null(shown.QuerySelector(".hidden-character"));
        Assert.Equal(text, shown.TextContent.Trim());
    }

    [Fact]
    public void Every_block_finds_its_own_direction() =>
        Assert.All(Show("hello\n\nمرحبا\n\n- شكرا").QuerySelectorAll("p, li"), block => Assert.Equal("auto", block.GetAttribute("dir")));

    [Theory]
    [InlineData('>', 10_000)]
    [InlineData('*', 20_000)]
    [InlineData('[', 20_000)]
    [InlineData('(', 20_000)]
    [InlineData('`', 20_000)]
    [InlineData('|', 20_000)]
    [InlineData('\n', 200_000)]
    [InlineData('\u0301', 1_000)]
    public void Repetition_ends_in_bounded_time_and_loses_no_text(char character, int times)
    {
        var clock = Stopwatch.StartNew();
        var shown = Show("start " + new string(character, times) + " end");
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(15));
        Assert.Contains("end", shown.TextContent);
    }

    [Fact]
    public void A_text_of_the_greatest_length_is_shown_whole()
    {
        var text = string.Concat(Enumerable.Range(0, 20_000).Select(i => $"word{i % 10} ")).PadRight(200_000)[..200_000];
        Assert.True(Show(text).TextContent.Length > 119_000);
    }

    [Fact]
    public void A_changed_text_is_rendered_again()
    {
        var shown = Render<Markdown>(p => p.Add(m => m.Text, "one"));
        shown.Render(p => p.Add(m => m.Text, "two"));
        Assert.Equal("two", shown.Find("p").TextContent);
    }

    [Fact]
    public void As_written_shows_every_character_and_marks_the_hidden()
    {
        var shown = Render<TextView>(p => p.Add(v => v.Text, "**not bold** <b>\u202E").Add(v => v.AsWritten, true)).Find(".plain-text");
        Assert.Equal("**not bold** <b>U+202E", shown.TextContent);
        Assert.Null(shown.QuerySelector("strong, b"));
    }

    private IElement Show(string text) => Render<Markdown>(p => p.Add(m => m.Text, text)).Find(".markdown");
}
