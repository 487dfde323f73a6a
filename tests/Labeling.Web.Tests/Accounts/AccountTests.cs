using System.Net;
using Labeling.Core.Features.People;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Web.Tests.Accounts;

public sealed class AccountTests(SiteFixture site) : IClassFixture<SiteFixture>
{
    private static Dictionary<string, string> Account(string email) =>
        new() { ["Input.DisplayName"] = "New Person", ["Input.Email"] = email, ["Input.Password"] = SiteFixture.Password };

    [Theory]
    [InlineData("/")]
    [InlineData("/work/01890000-0000-7000-8000-000000000000")]
    [InlineData("/rank/01890000-0000-7000-8000-000000000000")]
    [InlineData("/admin")]
    [InlineData("/nowhere")]
    public async Task Without_signing_in_every_page_leads_to_the_sign_in_page_and_back(string path)
    {
        using var browser = site.Open();
        var answer = await browser.Get(path);
        Assert.Equal(HttpStatusCode.Found, answer.StatusCode);
        Assert.EndsWith($"/sign-in?returnUrl={Uri.EscapeDataString(path)}", answer.Headers.Location!.ToString());
    }

    [Theory]
    [InlineData("/app/session")]
    [InlineData("/app/assignments/01890000-0000-7000-8000-000000000000/draft")]
    public async Task Without_signing_in_scripts_get_a_status_and_no_page(string path)
    {
        using var browser = site.Open();
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.Get(path)).StatusCode);
    }

    [Theory]
    [InlineData(Roles.Annotator, "/work/01890000-0000-7000-8000-000000000000", true)]
    [InlineData(Roles.Annotator, "/rank/01890000-0000-7000-8000-000000000000", false)]
    [InlineData(Roles.Annotator, "/admin", false)]
    [InlineData(Roles.Ranker, "/rank/01890000-0000-7000-8000-000000000000", true)]
    [InlineData(Roles.Ranker, "/work/01890000-0000-7000-8000-000000000000", false)]
    [InlineData(Roles.Ranker, "/admin", false)]
    [InlineData(Roles.Admin, "/work/01890000-0000-7000-8000-000000000000", true)]
    [InlineData(Roles.Admin, "/rank/01890000-0000-7000-8000-000000000000", true)]
    [InlineData(Roles.Admin, "/admin", true)]
    public async Task A_page_opens_for_its_roles_only(Roles roles, string path, bool opens)
    {
        var (_, _, browser) = await site.Person(roles);
        var answer = await browser.Get(path);
        if (opens)
        {
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
        else
        {
            Assert.Equal(HttpStatusCode.Found, answer.StatusCode);
            Assert.Contains("/denied", answer.Headers.Location!.ToString());
        }
    }

    [Theory]
    [InlineData("/work/x", "/work/x")]
    [InlineData("https://evil.example/", "/")]
    [InlineData("//evil.example/", "/")]
    [InlineData("/\\evil.example/", "/")]
    public async Task Signing_in_leads_back_to_this_site_only(string returnUrl, string lands)
    {
        var (_, email, _) = await site.Person(Roles.Annotator);
        using var browser = site.Open();
        var answer = await browser.SignIn(email, SiteFixture.Password, $"/sign-in?returnUrl={Uri.EscapeDataString(returnUrl)}");
        Assert.Equal(HttpStatusCode.Found, answer.StatusCode);
        Assert.Equal(new Uri(site.Address, lands), new Uri(site.Address, answer.Headers.Location!));
    }

    [Fact]
    public async Task A_wrong_password_and_an_unknown_address_get_the_same_answer()
    {
        var (_, email, _) = await site.Person(Roles.Annotator);
        using var browser = site.Open();
        var wrong = await Words(await browser.SignIn(email, "not the password at all"));
        var unknown = await Words(await browser.SignIn("nobody@example.org", "not the password at all"));
        Assert.Contains("is not right", wrong);
        Assert.Equal(wrong.Replace(email, "*", StringComparison.Ordinal), unknown.Replace("nobody@example.org", "*", StringComparison.Ordinal));
    }

    [Fact]
    public async Task After_eight_wrong_tries_the_right_password_is_refused_too()
    {
        var (_, email, _) = await site.Person(Roles.Annotator);
        using var browser = site.Open();
        for (var i = 0; i < 8; i++)
        {
            await browser.SignIn(email, "not the password at all");
        }

        Assert.Equal(HttpStatusCode.OK, (await browser.SignIn(email, SiteFixture.Password)).StatusCode);
        Assert.Equal(HttpStatusCode.Found, (await browser.Get("/")).StatusCode);
    }

    [Fact]
    public async Task A_disabled_person_cannot_sign_in_and_an_open_session_may_do_nothing()
    {
        var (id, email, open) = await site.Person(Roles.Annotator);
        Assert.True((await site.Send(new SetDisabled(await site.Admin(), id, true))).Ok);

        using var browser = site.Open();
        Assert.Equal(HttpStatusCode.OK, (await browser.SignIn(email, SiteFixture.Password)).StatusCode);
        Assert.Equal(HttpStatusCode.Found, (await browser.Get("/")).StatusCode);
        Assert.Contains((await open.Call(HttpMethod.Post, $"/app/projects/{Guid.NewGuid()}/next", new { kind = "demonstration" }, Token(await open.Get("/")))).StatusCode, new[] { HttpStatusCode.Forbidden, HttpStatusCode.Unauthorized });
    }

    [Fact]
    public async Task An_invitation_lets_one_person_in_once()
    {
        var link = "/join/" + await site.Invite(Roles.Annotator);
        using var first = site.Open();
        var joined = await first.Post(link, "join", Account("first-in@example.org"));
        Assert.Equal(HttpStatusCode.Found, joined.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await first.Get("/")).StatusCode);

        using var second = site.Open();
        Assert.Contains("does not open any more", await Words(await second.Get(link)));
        var again = await second.Post(link, "join", Account("second-in@example.org"));
        Assert.NotEqual(HttpStatusCode.Found, again.StatusCode);
        Assert.Equal(HttpStatusCode.Found, (await second.Get("/")).StatusCode);
    }

    [Fact]
    public async Task A_refused_account_keeps_what_was_typed_and_the_link()
    {
        var link = "/join/" + await site.Invite(Roles.Annotator);
        using var browser = site.Open();
        var short_ = Account("careful@example.org");
        short_["Input.Password"] = "short";
        var refused = await Words(await browser.Post(link, "join", short_));
        Assert.Contains(PasswordRules.Text, refused);
        Assert.Contains("careful@example.org", refused);
        Assert.Equal(HttpStatusCode.Found, (await browser.Post(link, "join", Account("careful@example.org"))).StatusCode);
    }

    [Theory]
    [InlineData("/register")]
    [InlineData("/Account/Register")]
    [InlineData("/sign-up")]
    public async Task There_is_no_open_sign_up(string path)
    {
        using var browser = site.Open();
        using var form = new FormUrlEncodedContent(Account("stranger@example.org"));
        var answer = await browser.Client.PostAsync(new Uri(path, UriKind.Relative), form);
        Assert.Contains(answer.StatusCode, new[] { HttpStatusCode.Found, HttpStatusCode.NotFound, HttpStatusCode.MethodNotAllowed });
        await using var db = site.Database.CreateContext();
        Assert.DoesNotContain(db.Users, u => u.Email == "stranger@example.org");
    }

    [Fact]
    public async Task A_form_without_its_token_is_refused()
    {
        var (_, email, _) = await site.Person(Roles.Annotator);
        using var browser = site.Open();
        var answer = await browser.Post("/sign-in", "sign-in", new() { ["Input.Email"] = email, ["Input.Password"] = SiteFixture.Password }, withToken: false);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal(HttpStatusCode.Found, (await browser.Get("/")).StatusCode);
    }

    [Fact]
    public async Task Signing_out_needs_the_form_token_and_ends_the_session()
    {
        var (_, _, browser) = await site.Person(Roles.Annotator);
        using var bare = new FormUrlEncodedContent([]);
        Assert.Equal(HttpStatusCode.BadRequest, (await browser.Client.PostAsync(new Uri("/sign-out", UriKind.Relative), bare)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await browser.Get("/")).StatusCode);

        using var form = new FormUrlEncodedContent([new("__RequestVerificationToken", Token(await browser.Get("/")))]);
        Assert.Equal(HttpStatusCode.Found, (await browser.Client.PostAsync(new Uri("/sign-out", UriKind.Relative), form)).StatusCode);
        Assert.Equal(HttpStatusCode.Found, (await browser.Get("/")).StatusCode);
    }

    [Fact]
    public async Task Cookies_are_out_of_reach_of_scripts_and_other_sites()
    {
        var (_, email, _) = await site.Person(Roles.Annotator);
        using var browser = site.Open();
        var signedIn = await browser.SignIn(email, SiteFixture.Password);
        var cookie = Assert.Single(signedIn.Headers.GetValues("Set-Cookie"), c => c.StartsWith("labeling=", StringComparison.Ordinal));
        Assert.Contains("httponly", cookie, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=lax", cookie, StringComparison.OrdinalIgnoreCase);
    }

    private static string Token(HttpResponseMessage page) =>
        System.Text.RegularExpressions.Regex.Match(page.Content.ReadAsStringAsync().GetAwaiter().GetResult(), "name=\"csrf-token\" content=\"([^\"]+)\"").Groups[1].Value;

    /// <summary>The page's text without what differs on every request.</summary>
    private static async Task<string> Words(HttpResponseMessage page)
    {
        var html = WebUtility.HtmlDecode(await page.Content.ReadAsStringAsync());
        var start = html.IndexOf("<main", StringComparison.Ordinal);
        return System.Text.RegularExpressions.Regex.Replace(html[start..html.IndexOf("</main>", StringComparison.Ordinal)], "CfDJ8[\\w-]+", "");
    }
}

/// <summary>An installation of its own: nobody has been there yet.</summary>
public sealed class SetupTests(SiteFixture site) : IClassFixture<SiteFixture>
{
    [Fact]
    public async Task The_setup_link_makes_the_first_admin_once()
    {
        var token = (await site.Send(new EnsureSetupInvitation(Actor.System))).Value!.Token;
        var form = new Dictionary<string, string> { ["Input.DisplayName"] = "First", ["Input.Email"] = "first@example.org", ["Input.Password"] = SiteFixture.Password };
        using var admin = site.Open();
        Assert.Contains("Set up this installation", await (await admin.Get("/setup/" + token)).Content.ReadAsStringAsync());
        Assert.Equal(HttpStatusCode.Found, (await admin.Post("/setup/" + token, "join", form)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await admin.Get("/admin")).StatusCode);

        using var second = site.Open();
        form["Input.Email"] = "second@example.org";
        Assert.NotEqual(HttpStatusCode.Found, (await second.Post("/setup/" + token, "join", form)).StatusCode);
        Assert.Null((await site.Send(new EnsureSetupInvitation(Actor.System))).Value);
        await using var db = site.Database.CreateContext();
        Assert.Equal("first@example.org", Assert.Single(db.Users).Email);
    }
}
