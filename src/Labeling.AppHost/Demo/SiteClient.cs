using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Labeling.Core.Features;
using Labeling.Core.Features.Datasets;
using Labeling.Core.Features.Models;
using Labeling.Core.Features.Prompts;
using Labeling.Core.Features.Rankings;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;

namespace Labeling.AppHost.Demo;

/// <summary>One person's access to the site's HTTP API, with the key that acts as them.</summary>
internal sealed class SiteClient : IDisposable
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) } };

    private readonly HttpClient _http;

    public SiteClient(string address, string apiKey)
    {
        // The site is on this machine: a proxy of the environment has no part in it.
        _http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(address + "/api/v1/"), Timeout = TimeSpan.FromMinutes(2) };
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", apiKey);
    }

    public Task<Guid> CreateProjectAsync(object project, CancellationToken cancel) => CreateAsync("projects", project, cancel);

    public async Task<ImportReport> ImportPromptsAsync(Guid project, Guid importId, string fileName, string jsonl, bool askForDemonstrations, CancellationToken cancel)
    {
        using StringContent content = new(jsonl, Encoding.UTF8, "application/jsonl");
        string path = $"projects/{project}/prompts?importId={importId}&fileName={Uri.EscapeDataString(fileName)}&onBadLine=rejectAll&createDemonstrationTasks={(askForDemonstrations ? "true" : "false")}";
        using HttpResponseMessage response = await _http.PostAsync(path, content, cancel);
        return await ReadAsync<ImportReport>(response, cancel);
    }

    /// <summary>The next task of a kind, or null when nothing waits for this person.</summary>
    public async Task<AssignmentView?> NextTaskAsync(Guid project, TaskKind kind, CancellationToken cancel)
    {
        using HttpResponseMessage response = await _http.PostAsJsonAsync($"projects/{project}/tasks/next", new { kind }, Json, cancel);
        return response.StatusCode == HttpStatusCode.NoContent ? null : (await ReadAsync<Taken>(response, cancel)).Work;
    }

    public Task SubmitDemonstrationAsync(Guid assignment, string text, CancellationToken cancel) =>
        PostAsync($"assignments/{assignment}/demonstration", new { id = Guid.CreateVersion7(), text }, cancel);

    public Task SubmitRankingAsync(Guid assignment, IEnumerable<RankedAnswer> answers, CancellationToken cancel) =>
        PostAsync($"assignments/{assignment}/ranking", new { id = Guid.CreateVersion7(), answers }, cancel);

    public async Task<DatasetItemView> FreezeAsync(Guid project, string name, DatasetKind kind, object filter, CancellationToken cancel)
    {
        using HttpResponseMessage response = await _http.PostAsJsonAsync($"projects/{project}/datasets", new { id = Guid.CreateVersion7(), name, kind, filter }, Json, cancel);
        return await ReadAsync<DatasetItemView>(response, cancel);
    }

    public Task<Guid> StartRunAsync(Guid project, object run, CancellationToken cancel) => CreateAsync($"projects/{project}/runs", run, cancel);

    public Task<RunDetails> RunAsync(Guid id, CancellationToken cancel) => GetAsync<RunDetails>($"runs/{id}", cancel);

    public Task<IReadOnlyList<RankingView>> RankingsAsync(Guid project, string batch, CancellationToken cancel) =>
        PagesAsync<RankingView>($"projects/{project}/rankings?batch={Uri.EscapeDataString(batch)}", cancel);

    public Task<IReadOnlyList<ScoredAnswer>> ScoresAsync(Guid model, CancellationToken cancel) => PagesAsync<ScoredAnswer>($"models/{model}/scores?split=valid", cancel);

    public void Dispose() => _http.Dispose();

    private async Task<IReadOnlyList<T>> PagesAsync<T>(string path, CancellationToken cancel)
    {
        List<T> items = [];
        string? after = null;
        do
        {
            Page<T> page = await GetAsync<Page<T>>($"{path}&size=500{(after is null ? "" : $"&after={Uri.EscapeDataString(after)}")}", cancel);
            items.AddRange(page.Items);
            after = page.Next;
        }
        while (after is not null);
        return items;
    }

    private async Task<T> GetAsync<T>(string path, CancellationToken cancel)
    {
        using HttpResponseMessage response = await _http.GetAsync(path, cancel);
        return await ReadAsync<T>(response, cancel);
    }

    private async Task PostAsync(string path, object body, CancellationToken cancel)
    {
        using HttpResponseMessage response = await _http.PostAsJsonAsync(path, body, Json, cancel);
        await CheckAsync(response, cancel);
    }

    private async Task<Guid> CreateAsync(string path, object body, CancellationToken cancel)
    {
        using HttpResponseMessage response = await _http.PostAsJsonAsync(path, body, Json, cancel);
        return (await ReadAsync<CreatedId>(response, cancel)).Id;
    }

    private static async Task<T> ReadAsync<T>(HttpResponseMessage response, CancellationToken cancel)
    {
        await CheckAsync(response, cancel);
        return await response.Content.ReadFromJsonAsync<T>(Json, cancel) ?? throw new HostException($"{response.RequestMessage!.RequestUri} answered nothing.");
    }

    private static async Task CheckAsync(HttpResponseMessage response, CancellationToken cancel)
    {
        if (response.IsSuccessStatusCode)
            return;
        string body = await response.Content.ReadAsStringAsync(cancel);
        throw new HostException($"The site answered {(int)response.StatusCode} to {response.RequestMessage!.Method} {response.RequestMessage.RequestUri!.PathAndQuery}: {body}");
    }

    private sealed record Taken(AssignmentView Work);

    private sealed record CreatedId(Guid Id);
}
