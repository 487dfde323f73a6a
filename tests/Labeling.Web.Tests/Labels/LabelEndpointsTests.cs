using System.Net;
using System.Text;
using Labeling.Core.Features.Projects;
using Labeling.Core.Features.Prompts;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Web.Tests.Labels;

public sealed class LabelEndpointsTests(SiteFixture site) : IClassFixture<SiteFixture>
{
    public static TheoryData<string> Texts =>
    [
        new string('a', 31 * 1024),
        new string('a', 33 * 1024),
        new string('ß', 200_000),
        string.Concat(Enumerable.Repeat("🙂", 200_000)),
        string.Concat(Enumerable.Repeat("\u0001\u001f\"\\", 50_000)),
        "tabs\t, line ends \r\n and \n, spaces at the end   ",
    ];

    [Theory]
    [MemberData(nameof(Texts))]
    public async Task A_draft_comes_back_as_it_was_written(string text)
    {
        var (browser, assignment) = await Work();
        var saved = await browser.Call(HttpMethod.Put, $"/app/assignments/{assignment}/draft", new { basedOn = 0, text });
        Assert.Equal(HttpStatusCode.OK, saved.StatusCode);
        Assert.Equal(1, (await Browser.Json(saved)).GetProperty("version").GetInt32());

        var stored = await Browser.Json(await browser.Get($"/app/assignments/{assignment}/draft"));
        Assert.Equal(text, stored.GetProperty("text").GetString());
    }

    [Fact]
    public async Task An_answer_one_character_too_long_is_kept_as_a_draft_but_not_taken()
    {
        var (browser, assignment) = await Work();
        var text = new string('a', Core.Pipeline.Texts.MaxCharacters + 1);
        Assert.Equal(HttpStatusCode.OK, (await browser.Call(HttpMethod.Put, $"/app/assignments/{assignment}/draft", new { basedOn = 0, text })).StatusCode);

        var refused = await browser.Call(HttpMethod.Post, $"/app/assignments/{assignment}/demonstration", new { id = Guid.CreateVersion7(), text, secondsSpent = 1 });
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("200,000", (await Browser.Json(refused)).ToString());
        Assert.Equal(text, (await Browser.Json(await browser.Get($"/app/assignments/{assignment}/draft"))).GetProperty("text").GetString());
    }

    [Fact]
    public async Task A_body_beyond_the_bound_is_refused_before_it_is_read()
    {
        var (browser, assignment) = await Work();
        var refused = await browser.Call(HttpMethod.Put, $"/app/assignments/{assignment}/draft", new { basedOn = 0, text = new string('a', 5 * 1024 * 1024) });
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, refused.StatusCode);
    }

    [Theory]
    [InlineData("{\"basedOn\":0,\"text\":\"a\\u0000b\"}")]
    [InlineData("{\"basedOn\":0,\"text\":\"a\\ud800b\"}")]
    [InlineData("{\"basedOn\":0,\"text\":5}")]
    [InlineData("{\"basedOn\":0,\"text\":null}")]
    [InlineData("{\"basedOn\":0}")]
    [InlineData("{\"basedOn\":0,\"text\":\"cut off")]
    [InlineData("[]")]
    public async Task What_cannot_be_kept_is_a_clear_refusal(string body)
    {
        var (browser, assignment) = await Work();
        var refused = await browser.Call(HttpMethod.Put, $"/app/assignments/{assignment}/draft", body);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Equal("application/problem+json", refused.Content.Headers.ContentType!.MediaType);
        Assert.NotEmpty((await Browser.Json(refused)).GetProperty("detail").GetString()!);
    }

    [Fact]
    public async Task A_second_tab_gets_the_first_ones_text_instead_of_overwriting_it()
    {
        var (browser, assignment) = await Work();
        await browser.Call(HttpMethod.Put, $"/app/assignments/{assignment}/draft", new { basedOn = 0, text = "first tab" });
        var second = await browser.Call(HttpMethod.Put, $"/app/assignments/{assignment}/draft", new { basedOn = 0, text = "second tab" });
        Assert.Equal(HttpStatusCode.Conflict, second.StatusCode);
        var conflict = await Browser.Json(second);
        Assert.True(conflict.GetProperty("conflict").GetBoolean());
        Assert.Equal("first tab", conflict.GetProperty("storedText").GetString());

        var chosen = await browser.Call(HttpMethod.Put, $"/app/assignments/{assignment}/draft", new { basedOn = conflict.GetProperty("version").GetInt32(), text = "second tab" });
        Assert.Equal(HttpStatusCode.OK, chosen.StatusCode);
    }

    [Theory]
    [InlineData("PUT", "draft")]
    [InlineData("POST", "renew")]
    [InlineData("POST", "demonstration")]
    public async Task A_write_without_the_form_token_is_refused(string method, string door)
    {
        var (browser, assignment) = await Work();
        var body = door == "draft" ? (object)new { basedOn = 0, text = "x" } : new { id = Guid.CreateVersion7(), text = "x", secondsSpent = 1 };
        var refused = await browser.Call(new HttpMethod(method), $"/app/assignments/{assignment}/{door}", body, token: null);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Equal("Old form token", (await Browser.Json(refused)).GetProperty("title").GetString());
    }

    [Fact]
    public async Task Nobody_reaches_another_persons_assignment()
    {
        var (_, assignment) = await Work();
        var (_, _, stranger) = await site.Person(Roles.Annotator);
        HttpStatusCode[] refused = [HttpStatusCode.NotFound, HttpStatusCode.Forbidden];
        Assert.Contains((await stranger.Get($"/app/assignments/{assignment}/draft")).StatusCode, refused);
        Assert.Contains((await stranger.Call(HttpMethod.Put, $"/app/assignments/{assignment}/draft", new { basedOn = 0, text = "x" })).StatusCode, refused);
        Assert.Contains((await stranger.Call(HttpMethod.Post, $"/app/assignments/{assignment}/renew")).StatusCode, refused);
        Assert.Contains((await stranger.Call(HttpMethod.Post, $"/app/assignments/{assignment}/demonstration", new { id = Guid.CreateVersion7(), text = "x", secondsSpent = 1 })).StatusCode, refused);
        Assert.Contains((await stranger.Call(HttpMethod.Post, $"/app/assignments/{assignment}/skip", new { reason = "mine now" })).StatusCode, refused);
    }

    [Fact]
    public async Task A_submission_sent_twice_is_stored_once_and_the_next_task_follows()
    {
        var (browser, assignment, project) = await Project();
        var body = new { id = Guid.CreateVersion7(), text = "The answer.\r\n", secondsSpent = 12 };
        for (var i = 0; i < 2; i++)
        {
            var submitted = await browser.Call(HttpMethod.Post, $"/app/assignments/{assignment}/demonstration", body);
            Assert.Equal(HttpStatusCode.OK, submitted.StatusCode);
            Assert.Equal(body.id, (await Browser.Json(submitted)).GetProperty("id").GetGuid());
        }

        await using var db = site.Database.CreateContext();
        Assert.Equal("The answer.\r\n", Assert.Single(db.Completions, c => c.AssignmentId == assignment).Text);

        var next = await browser.Call(HttpMethod.Post, $"/app/projects/{project}/next", new { kind = "demonstration" });
        Assert.StartsWith("/work/", (await Browser.Json(next)).GetProperty("address").GetString());
        Assert.Equal(HttpStatusCode.NoContent, (await browser.Call(HttpMethod.Post, $"/app/projects/{project}/next", new { kind = "ranking" })).StatusCode);
    }

    private async Task<(Browser Browser, Guid Assignment)> Work()
    {
        var (browser, assignment, _) = await Project();
        return (browser, assignment);
    }

    private async Task<(Browser Browser, Guid Assignment, Guid Project)> Project()
    {
        var admin = await site.Admin();
        var project = Guid.CreateVersion7();
        Assert.True((await site.Send(new CreateProject(admin, project, $"Project {project}", "", "Be kind.", new ProjectRules()))).Ok);
        using var prompts = new MemoryStream(Encoding.UTF8.GetBytes($"{{\"prompt\":\"One {project}\"}}\n{{\"prompt\":\"Two {project}\"}}"));
        Assert.Equal(2, (await site.Send(new ImportPrompts(admin, Guid.CreateVersion7(), project, "p.jsonl", prompts, OnBadLine.RejectAll, true))).Value.Imported);
        var (id, _, browser) = await site.Person(Roles.Annotator | Roles.Ranker);
        var claimed = (await site.Send(new ClaimTask(Actor.Person(id), project, TaskKind.Demonstration))).Value!;
        return (browser, claimed.AssignmentId, project);
    }
}
