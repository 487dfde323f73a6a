using System.Net;
using System.Text;
using System.Text.Json;
using Labeling.Core.Model;

namespace Labeling.Web.Tests.Api;

public sealed class HostileInputTests(ApiSite site)
{
    private const string Id = "0199e0a0-5b1c-7c39-8a53-0c9f0d4d7a11";

    [Theory]
    [InlineData("""{"id":"x","name":"a"}""", "id", "UUID")]
    [InlineData("""{"id":7,"name":"a"}""", "id", "UUID")]
    [InlineData("""{"name":"a"}""", "id", "required")]
    [InlineData("""{"id":"$id"}""", "name", "required")]
    [InlineData("""{"id":"$id","name":null}""", "name", "null")]
    [InlineData("""{"id":"$id","name":5}""", "name", "text")]
    [InlineData("""{"id":"$id","name":["a"]}""", "name", "text")]
    [InlineData("""{"id":"$id","name":"a","nam":1}""", "nam", "no such field")]
    [InlineData("""{"id":"$id","name":"a","name":"b"}""", "name", "twice")]
    [InlineData("""{"id":"$id","name":"a","rules":3}""", "rules", "object")]
    [InlineData("""{"id":"$id","name":"a","rules":{"rankingOverlap":"5"}}""", "rules.rankingOverlap", "whole number")]
    [InlineData("""{"id":"$id","name":"a","rules":{"rankingOverlap":1.5}}""", "rules.rankingOverlap", "whole number")]
    [InlineData("""{"id":"$id","name":"a","rules":{"rankingOverlap":99999999999}}""", "rules.rankingOverlap", "whole number")]
    [InlineData("""{"id":"$id","name":"a","rules":{"overlap":1}}""", "rules.overlap", "no such field")]
    [InlineData("""{"id":"$id","name":"\ud800"}""", "name", "surrogate")]
    [InlineData("""{"id":"$id","name":"\udc00\ud800"}""", "name", "surrogate")]
    [InlineData("{\"id\":\"$id\",\"name\":\"a", "name", "cannot be read")]
    [InlineData("""{"id":"$id","name":"a\x"}""", "name", "cannot be read")]
    [InlineData("""[]""", "body", "object")]
    [InlineData("""null""", "body", "required")]
    [InlineData("", "body", "required")]
    [InlineData("""{"id":"$id","name":"a"} more""", "body", "cannot be read")]
    public async Task What_cannot_be_read_is_named(string json, string field, string words)
    {
        var admin = await site.AdminAsync();
        Assert.Contains(words, await admin.PostAsync("projects", json.Replace("$id", Id)).InvalidAsync(field));
    }

    [Fact]
    public async Task Bytes_that_are_no_UTF8_are_named()
    {
        var admin = await site.AdminAsync();
        byte[] body = [.. Encoding.UTF8.GetBytes($$"""{"id":"{{Id}}","name":"a"""), 0xC3, 0x28, .. "\"}"u8];
        var content = new ByteArrayContent(body) { Headers = { ContentType = new("application/json") } };
        await admin.PostAsync("projects", content).InvalidAsync("name");
    }

    [Theory]
    [InlineData("""{"kind":"rankin"}""", "kind")]
    [InlineData("""{"kind":1}""", "kind")]
    [InlineData("""{"kind":"Ranking"}""", "kind")]
    [InlineData("""{"kind":null}""", "kind")]
    public async Task An_unknown_choice_is_answered_with_the_known_ones(string json, string field)
    {
        var admin = await site.AdminAsync();
        Assert.Contains("demonstration, ranking", await admin.PostAsync($"projects/{Id}/tasks/next", json).InvalidAsync(field));
    }

    [Theory]
    [InlineData("prompts?importId=7", "importId")]
    [InlineData("prompts", "importId")]
    [InlineData($"prompts?importId={Id}&onBadLine=3", "onBadLine")]
    [InlineData($"prompts?importId={Id}&onBadLine=keepgood", "onBadLine")]
    [InlineData($"prompts?importId={Id}&createDemonstrationTasks=yes", "createDemonstrationTasks")]
    public async Task A_bad_value_in_the_address_is_named(string address, string field)
    {
        var admin = await site.AdminAsync();
        await admin.PostAsync($"projects/{Id}/{address}", new StringContent("")).InvalidAsync(field);
    }

    [Fact]
    public async Task A_number_among_answers_is_named_by_its_place()
    {
        var admin = await site.AdminAsync();
        var words = await admin.PostAsync($"assignments/{Id}/ranking", $$"""{"id":"{{Id}}","answers":[{"completionId":"{{Id}}","rank":1},{"completionId":"{{Id}}","rank":"2"}]}""")
            .InvalidAsync("answers[1].rank");
        Assert.Contains("whole number", words);
        await admin.PostAsync($"assignments/{Id}/ranking", new { id = Id, answers = Array.Empty<object>(), ratings = new[] { new { completionId = Id, flags = new[] { "halucination" } } } })
            .InvalidAsync("ratings[0].flags");
        await admin.PostAsync($"projects/{Id}/runs", new { id = Id, name = "x", stage = "sft", datasetVersionId = Id, baseModelIds = Array.Empty<string>(), hyperparameters = new { learning_rate = new[] { 1 } } })
            .InvalidAsync("hyperparameters.learning_rate");
    }

    [Theory]
    [InlineData("name")]
    [InlineData("description")]
    [InlineData("guidelineMarkdown")]
    public async Task U0000_is_refused_with_the_field_named(string field)
    {
        var admin = await site.AdminAsync();
        var body = new Dictionary<string, object> { ["id"] = Guid.CreateVersion7(), ["name"] = "n", ["description"] = "d", ["guidelineMarkdown"] = "g" };
        body[field] = "a\0b";
        await admin.PostAsync("projects", body).InvalidAsync(field);
    }

    [Fact]
    public async Task U0000_and_lone_surrogates_in_labels_are_refused_and_nothing_is_lost()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        await Given.ImportAsync(admin, project, """{"prompt":"one"}""");
        var (_, person) = await site.PersonAsync(Roles.Annotator);
        var assignment = (await person.PostAsync($"projects/{project}/tasks/next", new { kind = "demonstration" }).ReadAsync()).GetProperty("assignment").Id("assignmentId");
        await person.PutAsync($"assignments/{assignment}/draft", new { basedOn = 0, text = "kept" }).ReadAsync();

        await person.PutAsync($"assignments/{assignment}/draft", """{"basedOn":1,"text":"a\u0000b"}""").InvalidAsync("text");
        await person.PutAsync($"assignments/{assignment}/draft", """{"basedOn":1,"text":"a\ud83db"}""").InvalidAsync("text");
        await person.PostAsync($"assignments/{assignment}/demonstration", $$"""{"id":"{{Guid.CreateVersion7()}}","text":"a\u0000b"}""").InvalidAsync("text");
        await person.PostAsync($"assignments/{assignment}/skip", """{"reason":"a\u0000b"}""").InvalidAsync("reason");

        Assert.Equal("kept", (await person.GetAsync($"assignments/{assignment}").ReadAsync()).Text("draft"));
    }

    [Fact]
    public async Task A_text_of_200_000_characters_is_kept_byte_for_byte()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        await Given.ImportAsync(admin, project, """{"prompt":"one"}""");
        var (_, person) = await site.PersonAsync(Roles.Annotator);
        var assignment = (await person.PostAsync($"projects/{project}/tasks/next", new { kind = "demonstration" }).ReadAsync()).GetProperty("assignment").Id("assignmentId");
        // Line ends of both kinds, bidirectional controls, combining marks, an emoji of several code points, script: all kept.
        const string unit = "a\r\nb\u202Ec\u0301\u200B👩‍👩‍👧<script>alert(1)</script> \u2028é\t";
        var text = string.Concat(Enumerable.Repeat(unit, 200_000 / unit.Length + 1))[..200_000];
        text = char.IsHighSurrogate(text[^1]) ? text[..^1] + "x" : text;

        await person.PutAsync($"assignments/{assignment}/draft", new { basedOn = 0, text }).ReadAsync();
        Assert.Equal(text, (await person.GetAsync($"assignments/{assignment}").ReadAsync()).Text("draft"));
        var id = Guid.CreateVersion7();
        await person.PostAsync($"assignments/{assignment}/demonstration", new { id, text }).ReadAsync();
        await using var db = site.Database.CreateContext();
        Assert.Equal(text, (await db.Completions.FindAsync(id))!.Text);
    }

    [Fact]
    public async Task A_body_over_the_limit_is_413_and_makes_nothing()
    {
        var admin = await site.AdminAsync();
        var id = Guid.CreateVersion7();
        var body = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(new { id, name = "n", guidelineMarkdown = new string('x', 3 * 1024 * 1024) }));

        // The body waits for the server's word, so that the refusal is an answer and not a broken pipe.
        await admin.SendAsync(Request(new ByteArrayContent(body), expectContinue: true)).ProblemAsync(HttpStatusCode.RequestEntityTooLarge);

        // Without a declared length it is cut off on the way.
        try
        {
            var chunked = Request(new StreamContent(new MemoryStream(body)), expectContinue: false);
            chunked.Headers.TransferEncodingChunked = true;
            await admin.SendAsync(chunked).ProblemAsync(HttpStatusCode.RequestEntityTooLarge);
        }
        catch (HttpRequestException)
        {
            // The server closed the connection while the rest was still on its way.
        }

        await admin.GetAsync($"projects/{id}").ProblemAsync(HttpStatusCode.NotFound);

        static HttpRequestMessage Request(HttpContent content, bool expectContinue)
        {
            content.Headers.ContentType = new("application/json");
            return new HttpRequestMessage(HttpMethod.Post, "projects") { Content = content, Headers = { ExpectContinue = expectContinue } };
        }
    }

    [Fact]
    public async Task Nesting_without_end_is_refused()
    {
        var admin = await site.AdminAsync();
        var deep = string.Concat(Enumerable.Repeat("[", 10_000));
        await admin.PostAsync("projects", $$"""{"id":"{{Id}}","name":{{deep}}""").ProblemAsync(HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Wrong_addresses_methods_and_types_are_problems_too()
    {
        var admin = await site.AdminAsync();
        await admin.GetAsync("nothing/here").ProblemAsync(HttpStatusCode.NotFound);
        await admin.GetAsync("projects/not-a-uuid").ProblemAsync(HttpStatusCode.NotFound);
        using (var refused = await admin.DeleteAsync("projects"))
        {
            Assert.Equal(HttpStatusCode.MethodNotAllowed, refused.StatusCode);
            Assert.Equal(["GET", "POST"], refused.Content.Headers.Allow.Order());
        }

        await admin.PostAsync("projects", new StringContent("hello")).ProblemAsync(HttpStatusCode.UnsupportedMediaType);
        await admin.PostAsync($"projects/{Id}/prompts?importId={Id}", new MultipartFormDataContent { { new StringContent("x"), "file" } }).ProblemAsync(HttpStatusCode.UnsupportedMediaType);
        await admin.GetAsync($"datasets/{Id}/files/..%2Ftrain.jsonl").ProblemAsync(HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task A_failure_inside_shows_nothing_of_the_inside()
    {
        // A size no page has: whatever the answer is, it is not a stack trace.
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        foreach (var address in new[] { $"projects/{project}/runs?size=-1", $"projects/{project}/runs?size=2147483647", $"projects/{project}/rankings?after=%00", $"projects/{project}/runs?after=zzz", $"models/{Id}/files/..%2F..%2Fetc%2Fpasswd" })
        {
            using var answer = await admin.GetAsync(address);
            var text = await answer.Content.ReadAsStringAsync();
            Assert.True((int)answer.StatusCode < 500, $"{address}: {(int)answer.StatusCode} {text}");
            Assert.DoesNotContain("   at ", text);
            Assert.DoesNotContain("Npgsql", text);
        }
    }
}
