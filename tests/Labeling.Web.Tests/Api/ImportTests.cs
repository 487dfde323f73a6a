using System.Net;
using System.Text;
using Labeling.Core.Model;

namespace Labeling.Web.Tests.Api;

public sealed class ImportTests(ApiSite site)
{
    private const string Mixed = """
        {"prompt":"good one","category":"a"}
        {"prompt":
        {"messages":[{"role":"user","content":"good two"}]}
        {"nothing":1}
        """;

    [Fact]
    public async Task Good_lines_are_kept_and_bad_ones_named_by_number()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);

        var report = await Given.ImportAsync(admin, project, Mixed, "onBadLine=keepGood");

        Assert.Equal((2, 0, 2), Counts(report));
        Assert.Equal([2, 4], report.GetProperty("problems").EnumerateArray().Select(p => p.GetProperty("line").GetInt32()));
        Assert.All(report.GetProperty("problems").EnumerateArray(), p => Assert.NotEmpty(p.Text("reason")));
        Assert.Equal(2, (await admin.GetAsync($"projects/{project}").ReadAsync()).GetProperty("counts").GetProperty("prompts").GetInt32());
    }

    [Fact]
    public async Task Nothing_is_kept_when_so_chosen()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);

        var report = await Given.ImportAsync(admin, project, Mixed, "onBadLine=rejectAll");

        Assert.Equal(0, report.GetProperty("imported").GetInt32());
        Assert.Equal(0, (await admin.GetAsync($"projects/{project}").ReadAsync()).GetProperty("counts").GetProperty("prompts").GetInt32());
    }

    [Fact]
    public async Task The_same_import_sent_again_answers_the_first_report()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        var id = Guid.CreateVersion7();
        Assert.Equal((1, 0, 0), Counts(await Given.ImportAsync(admin, project, """{"prompt":"one"}""", importId: id)));
        Assert.Equal((1, 0, 0), Counts(await Given.ImportAsync(admin, project, """{"prompt":"one"}""", importId: id)));
        Assert.Equal((0, 1, 0), Counts(await Given.ImportAsync(admin, project, """{"prompt":"one"}""")));
    }

    [Fact]
    public async Task A_file_over_the_limit_of_other_bodies_streams_in_whatever_its_length()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        const int lines = 300;
        var filler = new string('x', 10_000);

        var report = await admin.PostAsync(
            $"projects/{project}/prompts?importId={Guid.CreateVersion7()}&fileName=big.jsonl", new LinesContent(lines, i => $$"""{"prompt":"{{i}} {{filler}}"}""")).ReadAsync();

        Assert.Equal((lines, 0, 0), Counts(report));
    }

    [Fact]
    public async Task A_file_cut_off_on_the_way_leaves_nothing_behind()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        var content = new LinesContent(50, i => i < 40 ? $$"""{"prompt":"line {{i}}"}""" : throw new IOException("The line is cut."));

        await Assert.ThrowsAnyAsync<HttpRequestException>(() => admin.PostAsync($"projects/{project}/prompts?importId={Guid.CreateVersion7()}&fileName=cut.jsonl", content));

        Assert.Equal(0, (await admin.GetAsync($"projects/{project}").ReadAsync()).GetProperty("counts").GetProperty("prompts").GetInt32());
    }

    [Fact]
    public async Task The_page_uploads_with_a_cookie_and_the_form_token_only()
    {
        var project = await Given.ProjectAsync(await site.AdminAsync());
        var address = $"/app/projects/{project}/prompts?importId={Guid.CreateVersion7()}&fileName=page.jsonl&onBadLine=keepGood&createDemonstrationTasks=true";
        var body = """{"prompt":"from the page"}""";

        using var nobody = await site.Anonymous().PostAsync(address, new StringContent(body));
        Assert.Equal(HttpStatusCode.Unauthorized, nobody.StatusCode);

        var (_, keyHolder) = await site.PersonAsync(Roles.Admin);
        using var withKey = await keyHolder.PostAsync(address, new StringContent(body));
        Assert.Equal(HttpStatusCode.Unauthorized, withKey.StatusCode);

        var browser = await site.BrowserAsync(Roles.Admin);
        using var withoutToken = await browser.Client.PostAsync(address, new StringContent(body));
        Assert.Equal(HttpStatusCode.BadRequest, withoutToken.StatusCode);

        using var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = new StringContent(body, Encoding.UTF8, "application/jsonl"), Headers = { { "X-CSRF-TOKEN", browser.FormToken } } };
        Assert.Equal((1, 0, 0), Counts(await browser.Client.SendAsync(request).ReadAsync()));
    }

    private static (int Imported, int Duplicates, int Rejected) Counts(System.Text.Json.JsonElement report) =>
        (report.GetProperty("imported").GetInt32(), report.GetProperty("duplicates").GetInt32(), report.GetProperty("rejected").GetInt32());

    /// <summary>Writes line after line, with no length declared.</summary>
    private sealed class LinesContent(int lines, Func<int, string> line) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await using var writer = new StreamWriter(stream, new UTF8Encoding(false), leaveOpen: true) { NewLine = "\n" };
            for (var i = 0; i < lines; i++)
            {
                await writer.WriteLineAsync(line(i));
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
