using System.Net;
using System.Text.Json;
using Labeling.Core.Features.Models;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Testing;

namespace Labeling.Web.Tests.Api;

/// <summary>The way of a script that trains: datasets, runs, models.</summary>
public sealed class TrainingTests(ApiSite site)
{
    [Fact]
    public async Task Demonstrations_are_frozen_listed_read_and_downloaded()
    {
        var admin = await site.AdminAsync();
        var project = await LabeledAsync(admin);
        var id = Guid.CreateVersion7();
        var body = new { id, name = "First", kind = "demonstrations", filter = new { splits = new[] { "train" } } };

        var frozen = await admin.PostAsync($"projects/{project}/datasets", body).ReadAsync(HttpStatusCode.Created);
        Assert.Equal((id, 2, "demonstrations"), (frozen.Id(), frozen.GetProperty("rows").GetInt32(), frozen.Text("kind")));
        Assert.Equal(id, (await admin.PostAsync($"projects/{project}/datasets", body).ReadAsync(HttpStatusCode.Created)).Id());
        Assert.Equal(id, Assert.Single((await admin.GetAsync($"projects/{project}/datasets").ReadAsync()).EnumerateArray()).Id());
        Assert.Equal("Ada", (await admin.GetAsync($"datasets/{id}").ReadAsync()).GetProperty("labelers")[0].Text("displayName"));

        using var file = await admin.GetAsync($"datasets/{id}/files/train.jsonl");
        Assert.Equal("application/jsonl", file.Content.Headers.ContentType?.MediaType);
        Assert.Equal("attachment", file.Content.Headers.ContentDisposition?.DispositionType);
        var rows = (await file.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(r => JsonSerializer.Deserialize<JsonElement>(r)).ToList();
        Assert.Equal(["answer 0", "answer 1"], rows.Select(r => r.GetProperty("completion")[0].Text("content")).Order());

        var browser = await site.BrowserAsync(Roles.Admin);
        Assert.Equal(await file.Content.ReadAsStringAsync(), await browser.Client.GetStringAsync($"/app/datasets/{id}/train.jsonl"));
        var annotator = await site.BrowserAsync(Roles.Annotator);
        using var refused = await annotator.Client.GetAsync($"/app/datasets/{id}/train.jsonl");
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
    }

    [Fact]
    public async Task Rankings_come_as_K_answers_and_as_pairs_without_ties()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        var (_, answers) = await Given.RankingTaskAsync(site, project, "b", "best", "tied one", "tied two");
        var (_, ranker) = await site.PersonAsync(Roles.Ranker);
        var assignment = (await ranker.PostAsync($"projects/{project}/tasks/next", new { kind = "ranking" }).ReadAsync()).GetProperty("assignment").Id("assignmentId");
        await ranker.PostAsync($"assignments/{assignment}/ranking", new { id = Guid.CreateVersion7(), answers = answers.Select((a, i) => new { completionId = a.Id, rank = i == 0 ? 1 : 2 }) }).ReadAsync();
        var id = Guid.CreateVersion7();
        await admin.PostAsync($"projects/{project}/datasets", new { id, name = "R", kind = "rankings" }).ReadAsync(HttpStatusCode.Created);

        var whole = JsonSerializer.Deserialize<JsonElement>(await admin.GetStringAsync($"datasets/{id}/files/train.jsonl"));
        Assert.Equal([1, 2, 2], whole.GetProperty("completions").EnumerateArray().Select(c => c.GetProperty("rank").GetInt32()).Order());
        var pairs = (await admin.GetStringAsync($"datasets/{id}/files/train.jsonl?pairs=true")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, pairs.Length);
        Assert.All(pairs, pair => Assert.Equal("best", JsonSerializer.Deserialize<JsonElement>(pair).GetProperty("chosen")[0].Text("content")));
    }

    [Fact]
    public async Task A_run_is_started_once_read_cancelled_and_tried_again()
    {
        var admin = await site.AdminAsync();
        var (project, dataset, model) = await ReadyAsync(admin);
        var id = Guid.CreateVersion7();
        var body = new { id, name = "SFT", stage = "sft", datasetVersionId = dataset, baseModelIds = new[] { model }, hyperparameters = new { learning_rate = 0.002, epochs = 3 }, seed = 7 };

        Assert.Equal(id, (await admin.PostAsync($"projects/{project}/runs", body).ReadAsync(HttpStatusCode.Created)).Id());
        await admin.PostAsync($"projects/{project}/runs", body).ReadAsync(HttpStatusCode.Created);
        Assert.Equal(id, Assert.Single((await admin.GetAsync($"projects/{project}/runs").ReadAsync()).GetProperty("items").EnumerateArray()).Id());

        var run = await admin.GetAsync($"runs/{id}").ReadAsync();
        Assert.Equal("available", run.GetProperty("run").Text("state"));
        Assert.Equal(7, run.GetProperty("seed").GetInt64());
        Assert.Equal(("0.002", "3"), (run.GetProperty("hyperparameters").Text("learning_rate"), run.GetProperty("hyperparameters").Text("epochs")));

        await admin.PostAsync($"runs/{id}/cancel", "").ReadAsync(HttpStatusCode.NoContent);
        Assert.Equal("cancelled", (await admin.GetAsync($"runs/{id}").ReadAsync()).GetProperty("run").Text("state"));
        await admin.PostAsync($"runs/{id}/retry", "").ReadAsync(HttpStatusCode.NoContent);
        Assert.Contains((await admin.GetAsync($"runs/{id}").ReadAsync()).GetProperty("run").Text("state"), new[] { "available", "retryable" });
    }

    [Fact]
    public async Task Rankings_are_learned_from_directly_when_asked()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        var (model, answers) = await Given.RankingTaskAsync(site, project, "b", "best", "worst");
        var (_, ranker) = await site.PersonAsync(Roles.Ranker);
        var assignment = (await ranker.PostAsync($"projects/{project}/tasks/next", new { kind = "ranking" }).ReadAsync()).GetProperty("assignment").Id("assignmentId");
        await ranker.PostAsync($"assignments/{assignment}/ranking", new { id = Guid.CreateVersion7(), answers = answers.Select((a, i) => new { completionId = a.Id, rank = i + 1 }) }).ReadAsync();
        var dataset = Guid.CreateVersion7();
        await admin.PostAsync($"projects/{project}/datasets", new { id = dataset, name = "R", kind = "rankings" }).ReadAsync(HttpStatusCode.Created);
        object Body(object hyperparameters) => new { id = Guid.CreateVersion7(), name = "DPO", stage = "dpo", datasetVersionId = dataset, baseModelIds = new[] { model.Id }, hyperparameters };

        await admin.PostAsync($"projects/{project}/runs", Body(new { loss = "dop" })).InvalidAsync("hyperparameters.loss");
        var id = (await admin.PostAsync($"projects/{project}/runs", Body(new { loss = "ipo" })).ReadAsync(HttpStatusCode.Created)).Id();
        var run = await admin.GetAsync($"runs/{id}").ReadAsync();
        Assert.Equal(("dpo", "ipo"), (run.GetProperty("run").Text("stage"), run.GetProperty("hyperparameters").Text("loss")));
    }

    [Fact]
    public async Task A_wrong_setting_is_refused_with_its_name()
    {
        var admin = await site.AdminAsync();
        var (project, dataset, model) = await ReadyAsync(admin);
        object Body(object hyperparameters) => new { id = Guid.CreateVersion7(), name = "SFT", stage = "sft", datasetVersionId = dataset, baseModelIds = new[] { model }, hyperparameters };

        Assert.Contains("learning_rate", await admin.PostAsync($"projects/{project}/runs", Body(new { learning_rat = 0.1 })).InvalidAsync("hyperparameters.learning_rat"));
        await admin.PostAsync($"projects/{project}/runs", Body(new { epochs = 0 })).InvalidAsync("hyperparameters.epochs");
        await admin.PostAsync($"projects/{project}/runs", Body(new { epochs = "many" })).InvalidAsync("hyperparameters.epochs");
        await admin.PostAsync($"projects/{project}/runs", new { id = Guid.CreateVersion7(), name = "RM", stage = "reward", datasetVersionId = dataset, baseModelIds = new[] { model } }).InvalidAsync("datasetVersionId");
    }

    [Fact]
    public async Task Metrics_come_by_step()
    {
        var admin = await site.AdminAsync();
        var (project, dataset, _) = await ReadyAsync(admin);
        var run = await site.SeedAsync(db =>
        {
            var made = Seed.Run(db, db.DatasetVersions.Find(dataset)!);
            db.RunMetrics.AddRange(Enumerable.Range(1, 5).Select(i => new RunMetric { RunId = made.Id, Step = i, Time = DateTimeOffset.UtcNow, Values = $$"""{"loss":{{6 - i}},"eval/loss":0.5}""" }));
            return made;
        });

        var points = (await admin.GetAsync($"runs/{run.Id}/metrics?afterStep=3").ReadAsync()).EnumerateArray().ToList();
        Assert.Equal([(4, 2.0), (5, 1.0)], points.Select(p => (p.GetProperty("step").GetInt32(), p.GetProperty("values").GetProperty("loss").GetDouble())));
        Assert.Contains((await admin.GetAsync($"projects/{project}/runs").ReadAsync()).GetProperty("items").EnumerateArray(), r => r.Id() == run.Id);
    }

    [Fact]
    public async Task A_model_is_listed_read_and_downloaded_byte_for_byte()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        var folder = Directory.CreateTempSubdirectory("labeling-model-");
        try
        {
            var files = HfFolder.Write(folder.FullName);
            var id = await site.SendAsync(new RegisterModel(Actor.System, Guid.CreateVersion7(), project, "base", ModelKind.Policy, folder.FullName, "From a test."));

            Assert.Equal("base", Assert.Single((await admin.GetAsync($"projects/{project}/models").ReadAsync()).EnumerateArray()).Text("name"));
            var details = await admin.GetAsync($"models/{id}").ReadAsync();
            Assert.Equal(files.Keys.Order(), details.GetProperty("files").EnumerateArray().Select(f => f.Text("path")).Order());
            Assert.Equal(id, Assert.Single(details.GetProperty("lineage").EnumerateArray()).Id("modelId"));
            foreach (var (name, bytes) in files)
            {
                using var file = await admin.GetAsync($"models/{id}/files/{name}");
                Assert.Equal("application/octet-stream", file.Content.Headers.ContentType?.MediaType);
                Assert.Equal("nosniff", file.Headers.GetValues("X-Content-Type-Options").Single());
                Assert.Equal(bytes, await file.Content.ReadAsByteArrayAsync());
            }

            await admin.GetAsync($"models/{id}/files/other.bin").ProblemAsync(HttpStatusCode.NotFound);
            Assert.Empty((await admin.GetAsync($"models/{id}/scores?split=valid").ReadAsync()).GetProperty("items").EnumerateArray());
            await admin.GetAsync($"models/{id}/scores?split=vali").InvalidAsync("split");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private async Task<Guid> LabeledAsync(HttpClient admin)
    {
        var project = await Given.ProjectAsync(admin);
        await site.SeedAsync(db =>
        {
            var owner = db.Projects.Find(project)!;
            var author = Seed.Person(db, "Ada");
            return Enumerable.Range(0, 2).Select(i => Seed.Demonstration(db, Seed.Prompt(db, owner, $"prompt {i}"), author, $"answer {i}")).ToList();
        });
        return project;
    }

    private async Task<(Guid Project, Guid Dataset, Guid Model)> ReadyAsync(HttpClient admin)
    {
        var project = await LabeledAsync(admin);
        var dataset = Guid.CreateVersion7();
        await admin.PostAsync($"projects/{project}/datasets", new { id = dataset, name = "D", kind = "demonstrations" }).ReadAsync(HttpStatusCode.Created);
        var model = await site.SeedAsync(db => Seed.Model(db, db.Projects.Find(project)!));
        return (project, dataset, model.Id);
    }
}
