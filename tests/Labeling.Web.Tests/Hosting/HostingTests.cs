using System.Net;
using Labeling.Web.Hosting;

namespace Labeling.Web.Tests.Hosting;

public sealed class HostingTests(SiteFixture site) : IClassFixture<SiteFixture>
{
    [Theory]
    [InlineData("/sign-in")]
    [InlineData("/health/live")]
    [InlineData("/app/session")]
    [InlineData("/api/v1/projects")]
    [InlineData("/app.css")]
    public async Task Every_answer_carries_the_security_headers(string path)
    {
        using var browser = site.Open();
        var answer = await browser.Get(path);
        Assert.Equal(SecurityHeaders.ContentSecurityPolicy, Assert.Single(answer.Headers.GetValues("Content-Security-Policy")));
        Assert.Equal("nosniff", Assert.Single(answer.Headers.GetValues("X-Content-Type-Options")));
        Assert.Equal("DENY", Assert.Single(answer.Headers.GetValues("X-Frame-Options")));
        Assert.False(answer.Headers.Contains("Server"));
    }

    [Fact]
    public void The_policy_allows_no_inline_script_and_no_other_site()
    {
        var policy = SecurityHeaders.ContentSecurityPolicy.Split(';', StringSplitOptions.TrimEntries).ToDictionary(d => d.Split(' ')[0], d => d);
        Assert.Equal("script-src 'self'", policy["script-src"]);
        Assert.Equal("default-src 'self'", policy["default-src"]);
        Assert.Equal("object-src 'none'", policy["object-src"]);
        Assert.Equal("frame-ancestors 'none'", policy["frame-ancestors"]);
        Assert.DoesNotContain("http", SecurityHeaders.ContentSecurityPolicy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/health/live")]
    [InlineData("/health/ready")]
    [InlineData("/app.css")]
    [InlineData("/labels.css")]
    [InlineData("/js/theme.js")]
    [InlineData("/js/labels/demonstration.js")]
    [InlineData("/Labeling.Web.styles.css")]
    [InlineData("/_framework/blazor.web.js")]
    [InlineData("/_content/MudBlazor/MudBlazor.min.css")]
    public async Task What_everybody_needs_is_served_in_production_to_everybody(string path)
    {
        using var browser = site.Open();
        Assert.Equal(HttpStatusCode.OK, (await browser.Get(path)).StatusCode);
    }

    [Fact]
    public async Task A_page_loads_nothing_from_elsewhere_and_has_no_inline_script()
    {
        using var browser = site.Open();
        var html = await (await browser.Get("/sign-in")).Content.ReadAsStringAsync();
        Assert.DoesNotContain("//", string.Join(' ', System.Text.RegularExpressions.Regex.Matches(html, "(?:src|href)=\"([^\"]*)\"").Select(m => m.Groups[1].Value)), StringComparison.Ordinal);
        Assert.DoesNotMatch("<script(?![^>]* src=)", html);
    }

    [Fact]
    public async Task A_signed_in_person_gets_a_page_for_an_address_that_is_not_there()
    {
        var (_, _, browser) = await site.Person(Core.Model.Roles.Annotator);
        var answer = await browser.Get("/nowhere");
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Contains("There is nothing here", await answer.Content.ReadAsStringAsync());
    }
}
