using System.Net;
using System.Text.RegularExpressions;
using Labeling.Core.Features.ApiKeys;
using Labeling.Core.Features.People;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Labeling.Web.Tests.Api;

public sealed partial class AccessTests(ApiSite site)
{
    /// <summary>Every endpoint of the API and who may use it. An endpoint that is not here fails the first test.</summary>
    private static readonly Dictionary<string, Roles> Table = new()
    {
        ["GET /api/v1/projects"] = Roles.Annotator | Roles.Ranker,
        ["GET /api/v1/projects/{id:guid}"] = Roles.Annotator | Roles.Ranker,
        ["POST /api/v1/projects"] = Roles.Admin,
        ["POST /api/v1/projects/{id:guid}/prompts"] = Roles.Admin,
        ["POST /api/v1/projects/{id:guid}/tasks/next"] = Roles.Annotator | Roles.Ranker,
        ["GET /api/v1/queue"] = Roles.Annotator | Roles.Ranker,
        ["GET /api/v1/assignments/{id:guid}"] = Roles.Annotator | Roles.Ranker,
        ["PUT /api/v1/assignments/{id:guid}/draft"] = Roles.Annotator | Roles.Ranker,
        ["POST /api/v1/assignments/{id:guid}/renew"] = Roles.Annotator | Roles.Ranker,
        ["POST /api/v1/assignments/{id:guid}/skip"] = Roles.Annotator | Roles.Ranker,
        ["POST /api/v1/assignments/{id:guid}/demonstration"] = Roles.Annotator,
        ["POST /api/v1/assignments/{id:guid}/ranking"] = Roles.Ranker,
        ["GET /api/v1/projects/{id:guid}/rankings"] = Roles.Admin,
        ["POST /api/v1/projects/{id:guid}/datasets"] = Roles.Admin,
        ["GET /api/v1/projects/{id:guid}/datasets"] = Roles.Admin,
        ["GET /api/v1/datasets/{id:guid}"] = Roles.Admin,
        ["GET /api/v1/datasets/{id:guid}/files/{split}.jsonl"] = Roles.Admin,
        ["POST /api/v1/projects/{id:guid}/runs"] = Roles.Admin,
        ["GET /api/v1/projects/{id:guid}/runs"] = Roles.Admin,
        ["GET /api/v1/runs/{id:guid}"] = Roles.Admin,
        ["GET /api/v1/runs/{id:guid}/metrics"] = Roles.Admin,
        ["POST /api/v1/runs/{id:guid}/cancel"] = Roles.Admin,
        ["POST /api/v1/runs/{id:guid}/retry"] = Roles.Admin,
        ["GET /api/v1/projects/{id:guid}/models"] = Roles.Admin,
        ["GET /api/v1/models/{id:guid}"] = Roles.Admin,
        ["GET /api/v1/models/{id:guid}/files/{**path}"] = Roles.Admin,
        ["GET /api/v1/models/{id:guid}/scores"] = Roles.Admin,
    };

    private static readonly string Id = Guid.CreateVersion7().ToString();

    /// <summary>Bodies that are read, so that the answer is about the person and not about the body.</summary>
    private static readonly Dictionary<string, string> Bodies = new()
    {
        ["POST /api/v1/projects"] = $$"""{"id":"{{Id}}","name":"","description":"","guidelineMarkdown":""}""",
        ["POST /api/v1/projects/{id:guid}/tasks/next"] = """{"kind":"$kind"}""",
        ["PUT /api/v1/assignments/{id:guid}/draft"] = """{"basedOn":0,"text":"x"}""",
        ["POST /api/v1/assignments/{id:guid}/skip"] = """{"reason":"x"}""",
        ["POST /api/v1/assignments/{id:guid}/demonstration"] = $$"""{"id":"{{Id}}","text":"x"}""",
        ["POST /api/v1/assignments/{id:guid}/ranking"] = $$"""{"id":"{{Id}}","answers":[]}""",
        ["POST /api/v1/projects/{id:guid}/datasets"] = $$"""{"id":"{{Id}}","name":"x","kind":"rankings"}""",
        ["POST /api/v1/projects/{id:guid}/runs"] = $$"""{"id":"{{Id}}","name":"x","stage":"sft","datasetVersionId":"{{Id}}","baseModelIds":["{{Id}}"]}""",
    };

    public static IEnumerable<TheoryDataRow<string>> Endpoints => Table.Keys.Select(endpoint => new TheoryDataRow<string>(endpoint));

    [Fact]
    public void The_table_names_every_endpoint_and_no_other()
    {
        var mapped = Mapped("/api/").Where(e => !e.RoutePattern.RawText!.Contains("**rest", StringComparison.Ordinal))
            .Select(e => $"{e.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Single()} {e.RoutePattern.RawText!.TrimEnd('/')}");
        Assert.Equal(Table.Keys.Order(), mapped.Order());
    }

    [Fact]
    public void Every_endpoint_under_api_needs_a_key() =>
        Assert.All(Mapped("/api/"), endpoint => Assert.Contains(endpoint.Metadata.GetOrderedMetadata<IAuthorizeData>(), a => a.Policy == "ApiKey"));

    [Theory, MemberData(nameof(Endpoints))]
    public async Task Only_the_named_roles_get_in(string endpoint)
    {
        await Expect(site.Anonymous(), endpoint, "nobody", HttpStatusCode.Unauthorized);
        await Expect(site.With("lbl_" + new string('x', 43)), endpoint, "an unknown key", HttpStatusCode.Unauthorized);
        foreach (var role in new[] { Roles.None, Roles.Annotator, Roles.Ranker, Roles.Admin })
        {
            var (_, client) = await site.PersonAsync(role);
            var allowed = role == Roles.Admin || (Table[endpoint] & role) != 0;
            await Expect(client, endpoint, role.ToString(), allowed ? null : HttpStatusCode.Forbidden, role == Roles.Ranker ? "ranking" : "demonstration");
        }
    }

    [Fact]
    public async Task A_revoked_key_and_a_person_shut_out_are_refused()
    {
        var (person, client) = await site.PersonAsync(Roles.Annotator);
        await client.GetAsync("queue").ReadAsync();

        var keys = await site.SendAsync(new ListApiKeys(Actor.Person(person.Id)));
        await site.SendAsync(new RevokeApiKey(Actor.Person(person.Id), keys.Single().Id));
        await client.GetAsync("queue").ProblemAsync(HttpStatusCode.Unauthorized);

        var (other, otherClient) = await site.PersonAsync(Roles.Annotator);
        var (admin, _) = await site.PersonAsync(Roles.Admin);
        await site.SendAsync(new SetDisabled(Actor.Person(admin.Id), other.Id, true));
        await otherClient.GetAsync("queue").ProblemAsync(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task A_key_in_the_address_is_not_looked_at()
    {
        var (person, _) = await site.PersonAsync(Roles.Admin);
        var key = await site.SendAsync(new CreateApiKey(Actor.System, "address", person.Id));
        foreach (var name in new[] { "api_key", "apikey", "key", "token", "access_token" })
        {
            await site.Anonymous().GetAsync($"projects?{name}={key.Secret}").ProblemAsync(HttpStatusCode.Unauthorized);
        }
    }

    [Fact]
    public async Task Nobody_reads_or_changes_the_assignment_of_another()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        await Given.ImportAsync(admin, project, """{"prompt":"one"}""");
        var (_, mine) = await site.PersonAsync(Roles.Annotator, "Ann");
        var (_, theirs) = await site.PersonAsync(Roles.Annotator, "Bo");
        var taken = await mine.PostAsync($"projects/{project}/tasks/next", new { kind = "demonstration" }).ReadAsync();
        var assignment = taken.GetProperty("assignment").Id("assignmentId");

        await theirs.GetAsync($"assignments/{assignment}").ProblemAsync(HttpStatusCode.NotFound);
        await theirs.PutAsync($"assignments/{assignment}/draft", new { basedOn = 0, text = "mine now" }).ProblemAsync(HttpStatusCode.Forbidden);
        await theirs.PostAsync($"assignments/{assignment}/demonstration", new { id = Guid.CreateVersion7(), text = "mine now" }).ProblemAsync(HttpStatusCode.Forbidden);
        await theirs.PostAsync($"assignments/{assignment}/skip", new { reason = "away with it" }).ProblemAsync(HttpStatusCode.Forbidden);
        await theirs.PostAsync($"assignments/{assignment}/renew", "{}").ProblemAsync(HttpStatusCode.Forbidden);

        var still = await mine.GetAsync($"assignments/{assignment}").ReadAsync();
        Assert.Equal("active", still.Text("state"));
        Assert.Equal(System.Text.Json.JsonValueKind.Null, still.GetProperty("draft").ValueKind);
    }

    private IEnumerable<RouteEndpoint> Mapped(string under) =>
        site.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>().Where(e => e.RoutePattern.RawText?.StartsWith(under, StringComparison.Ordinal) == true);

    private static async Task Expect(HttpClient client, string endpoint, string who, HttpStatusCode? refused, string kind = "demonstration")
    {
        var (method, pattern) = (endpoint.Split(' ')[0], endpoint.Split(' ')[1]);
        var address = Parameter().Replace(pattern, m => m.Groups[1].Value switch { "id" => Guid.CreateVersion7().ToString(), "split" => "train", _ => "config.json" });
        if (endpoint.EndsWith("/prompts", StringComparison.Ordinal))
        {
            address += $"?importId={Guid.CreateVersion7()}";
        }

        using var request = new HttpRequestMessage(new HttpMethod(method), address);
        if (Bodies.TryGetValue(endpoint, out var body))
        {
            request.Content = new StringContent(body.Replace("$kind", kind), System.Text.Encoding.UTF8, "application/json");
        }

        using var answer = await client.SendAsync(request);
        var seen = $"{who}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}";
        if (refused is { } status)
        {
            Assert.True(answer.StatusCode == status, seen);
            Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        }
        else
        {
            Assert.True(answer.StatusCode is not (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden) && (int)answer.StatusCode < 500, seen);
        }
    }

    [GeneratedRegex(@"\{\**(\w+)[^}]*\}")]
    private static partial Regex Parameter();
}
