using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Labeling.Web.Api;
using Labeling.Web.Api.Json;
using Labeling.Web.Api.OpenApi;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Labeling.Web.Tests.Api;

public sealed partial class DocumentTests(ApiSite site)
{
    [Fact]
    public async Task The_document_lists_every_endpoint_with_a_summary_and_its_refusals()
    {
        var document = await site.Anonymous().GetAsync("/openapi/v1.json").ReadAsync();
        var described = document.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(operation => (Name: $"{operation.Name.ToUpperInvariant()} {path.Name}", Operation: operation.Value))).ToList();

        var mapped = site.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(e => e.RoutePattern.RawText!.StartsWith("/api/", StringComparison.Ordinal) && !e.RoutePattern.RawText.Contains("**rest", StringComparison.Ordinal))
            .Select(e => $"{e.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Single()} {Constraint().Replace(e.RoutePattern.RawText!, "{$1}").TrimEnd('/')}");
        Assert.Equal(mapped.Order(), described.Select(d => d.Name).Order());
        Assert.All(described, d =>
        {
            Assert.NotEmpty(d.Operation.Text("summary"));
            Assert.NotEmpty(d.Operation.Text("operationId"));
            Assert.All(new[] { "400", "401", "403", "404", "409" }, status => Assert.True(d.Operation.GetProperty("responses").TryGetProperty(status, out _), $"{d.Name} {status}"));
        });
        Assert.Equal("bearer", document.GetProperty("components").GetProperty("securitySchemes").GetProperty("apiKey").Text("scheme"));
    }

    [Fact]
    public async Task Every_body_has_an_example_that_the_server_itself_can_read()
    {
        var document = await site.Anonymous().GetAsync("/openapi/v1.json").ReadAsync();
        var schemas = document.GetProperty("components").GetProperty("schemas");
        var bodies = typeof(ApiSetup).Assembly.GetTypes().Where(t => t.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IExample<>))).ToList();
        Assert.Equal(8, bodies.Count);
        Assert.All(bodies, body =>
        {
            var example = schemas.GetProperty(body.Name).GetProperty("examples")[0].GetRawText();
            Assert.NotNull(JsonSerializer.Deserialize(example, body, ApiJson.Options));
        });
    }

    [Fact]
    public async Task Enums_are_texts_and_flags_are_lists_of_texts()
    {
        var schemas = (await site.Anonymous().GetAsync("/openapi/v1.json").ReadAsync()).GetProperty("components").GetProperty("schemas");
        Assert.Equal(["sft", "sample", "reward", "ppo", "dpo"], schemas.GetProperty("RunStage").GetProperty("enum").EnumerateArray().Select(e => e.GetString()));
        var flags = schemas.GetProperty("NewRating").GetProperty("properties").GetProperty("flags");
        Assert.Equal("array", flags.Text("type"));
        Assert.Contains("hallucination", flags.GetProperty("items").GetProperty("enum").EnumerateArray().Select(e => e.GetString()));
    }

    [Fact]
    public async Task The_readable_page_loads_nothing_from_elsewhere()
    {
        using var answer = await site.Anonymous().GetAsync("/scalar/");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var html = await answer.Content.ReadAsStringAsync();
        var policy = string.Join(' ', answer.Headers.GetValues("Content-Security-Policy"));
        var nonce = Nonce().Match(policy).Groups[1].Value;
        Assert.NotEmpty(nonce);
        Assert.All(Script().Matches(html), script => Assert.Contains($"nonce=\"{nonce}\"", script.Value));
        Assert.DoesNotContain("unsafe-inline", policy.Split(';').Single(d => d.Contains("script-src", StringComparison.Ordinal)));
        Assert.DoesNotContain("https:", policy);
        Assert.DoesNotContain("https://", html);

        using var script = await site.Anonymous().GetAsync("/scalar/scalar.js");
        Assert.Equal(HttpStatusCode.OK, script.StatusCode);
        Assert.True((await script.Content.ReadAsByteArrayAsync()).Length > 100_000);
    }

    [GeneratedRegex(@"\{\**(\w+)[^}]*\}")]
    private static partial Regex Constraint();

    [GeneratedRegex("'nonce-([^']+)'")]
    private static partial Regex Nonce();

    [GeneratedRegex("<script[^>]*>")]
    private static partial Regex Script();
}
