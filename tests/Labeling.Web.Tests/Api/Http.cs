using System.Net;
using System.Text;
using System.Text.Json;

namespace Labeling.Web.Tests.Api;

/// <summary>Sends JSON as text, so that a test sees exactly what goes over the wire and comes back.</summary>
internal static class Http
{
    public static Task<HttpResponseMessage> PostAsync(this HttpClient client, string address, string json) =>
        client.PostAsync(address, new StringContent(json, Encoding.UTF8, "application/json"));

    public static Task<HttpResponseMessage> PutAsync(this HttpClient client, string address, string json) =>
        client.PutAsync(address, new StringContent(json, Encoding.UTF8, "application/json"));

    public static Task<HttpResponseMessage> PostAsync(this HttpClient client, string address, object body) => client.PostAsync(address, JsonSerializer.Serialize(body));

    public static Task<HttpResponseMessage> PutAsync(this HttpClient client, string address, object body) => client.PutAsync(address, JsonSerializer.Serialize(body));

    /// <summary>The body of an answer that has to have this status.</summary>
    public static async Task<JsonElement> ReadAsync(this Task<HttpResponseMessage> sent, HttpStatusCode status = HttpStatusCode.OK)
    {
        using var answer = await sent;
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == status, $"{(int)answer.StatusCode} instead of {(int)status}: {text}");
        return text.Length == 0 ? default : JsonSerializer.Deserialize<JsonElement>(text);
    }

    /// <summary>A problem document of this status, checked for its form.</summary>
    public static async Task<JsonElement> ProblemAsync(this Task<HttpResponseMessage> sent, HttpStatusCode status)
    {
        var answer = await sent;
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        var problem = await Task.FromResult(answer).ReadAsync(status);
        Assert.Equal((int)status, problem.GetProperty("status").GetInt32());
        Assert.NotEmpty(problem.GetProperty("title").GetString()!);
        Assert.NotEmpty(problem.GetProperty("detail").GetString()!);
        return problem;
    }

    /// <summary>A 400 that names the field.</summary>
    public static async Task<string> InvalidAsync(this Task<HttpResponseMessage> sent, string field)
    {
        var problem = await sent.ProblemAsync(HttpStatusCode.BadRequest);
        var errors = problem.GetProperty("errors");
        Assert.True(errors.TryGetProperty(field, out var messages), $"No '{field}' in {errors}");
        return Assert.Single(messages.EnumerateArray()).GetString()!;
    }

    public static Guid Id(this JsonElement element, string name = "id") => element.GetProperty(name).GetGuid();

    public static string Text(this JsonElement element, string name) => element.GetProperty(name).GetString()!;
}
