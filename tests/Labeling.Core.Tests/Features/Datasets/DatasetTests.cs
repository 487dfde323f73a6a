using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Labeling.Core.Features.Datasets;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Testing;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Tests.Features.Datasets;

public sealed class DatasetTests : InRunWorld
{
    private static readonly DatasetFilter Everything = new();

    private FreezeDataset Freeze(DatasetKind kind, DatasetFilter? filter = null, string name = "First set") =>
        new(Admin, Guid.CreateVersion7(), Project.Id, name, kind, filter ?? Everything);

    private async Task<JsonElement[]> RowsAsync(DatasetItemView dataset, Split split) =>
        [.. (await ReadAsync(dataset.Files.Single(file => file.Split == split).Sha256)).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonDocument.Parse(line).RootElement)];

    [Fact]
    public async Task Demonstrations_become_prompt_completion_rows_by_split_without_surplus()
    {
        const string text = "  Grüße 🙂\r\n\"quoted\" </script>\t\u2028end ";
        var (ann, kept, held) = await AddAsync(db =>
        {
            var ann = Seed.Person(db, "Ann");
            var prompt = Seed.Prompt(db, Project, "Say hello");
            var kept = Seed.Demonstration(db, prompt, ann, text);
            Seed.Demonstration(db, prompt, Seed.Person(db, "Late"), "too late", surplus: true);
            return (ann, kept, Seed.Demonstration(db, Seed.Prompt(db, Project, "Held out", Split.Test), ann, "test answer"));
        });

        var dataset = await World.DoAsync(Freeze(DatasetKind.Demonstrations));

        Assert.Equal((1, 2, 1), (dataset.Number, dataset.Rows, dataset.Labelers));
        Assert.Equal([Split.Train, Split.Test], dataset.Files.Select(file => file.Split));
        var row = Assert.Single(await RowsAsync(dataset, Split.Train));
        Assert.Equal(["id", "prompt", "completion"], row.EnumerateObject().Select(field => field.Name));
        Assert.Equal(kept.Id, row.GetProperty("id").GetGuid());
        Assert.Equal("""[{"role":"user","content":"Say hello"}]""", row.GetProperty("prompt").GetRawText());
        Assert.Equal("assistant", row.GetProperty("completion")[0].GetProperty("role").GetString());
        Assert.Equal(text, row.GetProperty("completion")[0].GetProperty("content").GetString());
        Assert.Equal(held.Id, Assert.Single(await RowsAsync(dataset, Split.Test)).GetProperty("id").GetGuid());
        var items = await World.QueryAsync(db => db.DatasetItems.OrderBy(item => item.Split).ToListAsync());
        Assert.Equal([(Split.Test, 0, held.Id, ann.Id), (Split.Train, 0, kept.Id, ann.Id)], items.Select(item => (item.Split, item.Ordinal, item.CompletionId!.Value, item.LabelerId!.Value)));
    }

    [Fact]
    public async Task Rankings_become_K_way_rows_with_ties_and_a_labeler_who_is_only_a_number()
    {
        var (bob, ranking, answers) = await AddAsync(db =>
        {
            var bob = Seed.Person(db, "Bob");
            var prompt = Seed.Prompt(db, Project, "Rank");
            var answers = Enumerable.Range(0, 4).Select(i => Seed.Demonstration(db, prompt, Seed.Person(db, $"Author{i}"), $"answer {i}")).ToList();
            Seed.Ranking(db, prompt, Seed.Person(db, "Late"), answers, [1, 2, 3, 4], surplus: true);
            var ranking = Seed.Ranking(db, prompt, bob, answers, [2, 1, 2, 3], strength: 3);
            var tied = Seed.Prompt(db, Project, "All the same to me");
            var two = Enumerable.Range(0, 2).Select(i => Seed.Demonstration(db, tied, Seed.Person(db, $"Other{i}"), $"tied {i}")).ToList();
            Seed.Ranking(db, tied, bob, two, [1, 1]);
            return (bob, ranking, answers);
        });

        var dataset = await World.DoAsync(Freeze(DatasetKind.Rankings));

        var rows = await RowsAsync(dataset, Split.Train);
        Assert.Equal(2, rows.Length);
        var row = rows.Single(row => row.GetProperty("id").GetGuid() == ranking.Id);
        Assert.Equal(["id", "labeler", "prompt", "completions", "strength"], row.EnumerateObject().Select(field => field.Name));
        Assert.Equal(bob.Id.ToString(), row.GetProperty("labeler").GetString());
        Assert.DoesNotContain("example.org", row.GetRawText(), StringComparison.Ordinal);
        Assert.DoesNotContain("Bob", row.GetRawText(), StringComparison.Ordinal);
        Assert.Equal(3, row.GetProperty("strength").GetInt32());
        Assert.Equal(
            answers.Zip([2, 1, 2, 3], (answer, rank) => (rank, answer.Id, answer.Text)).OrderBy(answer => answer.rank).ThenBy(answer => answer.Id).ToList(),
            row.GetProperty("completions").EnumerateArray()
                .Select(answer => (answer.GetProperty("rank").GetInt32(), answer.GetProperty("id").GetGuid(), answer.GetProperty("completion")[0].GetProperty("content").GetString()!)).ToList());
        var tie = rows.Single(other => other.GetProperty("id").GetGuid() != ranking.Id);
        Assert.Equal([1, 1], tie.GetProperty("completions").EnumerateArray().Select(answer => answer.GetProperty("rank").GetInt32()));
        Assert.False(tie.TryGetProperty("strength", out _));
    }

    [Fact]
    public async Task Ranked_answers_that_a_person_wrote_as_they_stand_are_marked_as_demonstrations()
    {
        var (written, sampled, edited) = await AddAsync(db =>
        {
            var (ann, model) = (Seed.Person(db, "Ann"), Seed.Model(db, Project));
            var prompt = Seed.Prompt(db, Project, "Rank");
            var written = Seed.Demonstration(db, prompt, ann, "by hand");
            var sampled = Seed.Sampled(db, prompt, Seed.Run(db, Seed.Dataset(db, Project, DatasetKind.Prompts), RunStage.Sample), model, "by a model");
            var edited = new Completion { Id = Guid.CreateVersion7(), PromptId = prompt.Id, Source = CompletionSource.Edited, Text = "mended", AuthorId = ann.Id, EditedFromId = sampled.Id, CreatedAt = DateTimeOffset.UtcNow };
            db.Completions.Add(edited);
            Seed.Ranking(db, prompt, Seed.Person(db, "Bob"), [written, sampled, edited], [1, 3, 2]);
            return (written, sampled, edited);
        });

        var dataset = await World.DoAsync(Freeze(DatasetKind.Rankings));

        var answers = Assert.Single(await RowsAsync(dataset, Split.Train)).GetProperty("completions").EnumerateArray().ToDictionary(answer => answer.GetProperty("id").GetGuid());
        Assert.Equal(JsonValueKind.True, answers[written.Id].GetProperty("demonstration").ValueKind);
        Assert.All([sampled, edited], answer => Assert.Equal(["id", "completion", "rank"], answers[answer.Id].EnumerateObject().Select(field => field.Name)));
    }

    [Fact]
    public async Task Pairs_are_all_orders_without_ties_in_TRLs_conversational_shape()
    {
        await AddAsync(db =>
        {
            var prompt = Seed.Prompt(db, Project, "Rank");
            var answers = Enumerable.Range(0, 4).Select(i => Seed.Demonstration(db, prompt, Seed.Person(db, $"Author{i}"), $"a{i}")).ToList();
            return Seed.Ranking(db, prompt, Seed.Person(db, "Bob"), answers, [2, 1, 2, 3]);
        });
        var dataset = await World.DoAsync(Freeze(DatasetKind.Rankings));

        var download = await World.DoAsync(new OpenDatasetFile(Admin, dataset.Id, Split.Train, Pairs: true));

        Assert.Equal("first-set-v1-train-pairs.jsonl", download.FileName);
        using var reader = new StreamReader(download.Content);
        var pairs = (await reader.ReadToEndAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.All(pairs, pair => Assert.Equal(["prompt", "chosen", "rejected"], pair.EnumerateObject().Select(field => field.Name)));
        string Text(JsonElement pair, string side) => pair.GetProperty(side)[0].GetProperty("content").GetString()!;
        Assert.Equal(["a0>a3", "a1>a0", "a1>a2", "a1>a3", "a2>a3"], pairs.Select(pair => $"{Text(pair, "chosen")}>{Text(pair, "rejected")}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task The_same_labels_give_the_same_bytes_and_the_hash_can_be_recomputed()
    {
        await AddAsync(db =>
        {
            for (var i = 0; i < 30; i++)
                Seed.Demonstration(db, Seed.Prompt(db, Project, $"p{i}", i % 3 == 0 ? Split.Valid : Split.Train), Seed.Person(db, $"P{i}"), $"answer {i}");
            return 0;
        });

        var first = await World.DoAsync(Freeze(DatasetKind.Demonstrations));
        var second = await World.DoAsync(Freeze(DatasetKind.Demonstrations));

        Assert.Equal((1, 2), (first.Number, second.Number));
        Assert.Equal(first.Sha256, second.Sha256);
        Assert.Equal(first.Files, second.Files);
        var contents = await Task.WhenAll(first.Files.Select(file => ReadAsync(file.Sha256)));
        var hashes = contents.Select(content => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content))));
        Assert.Equal(first.Sha256, Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(string.Concat(hashes)))));
    }

    [Fact]
    public async Task A_repeated_request_is_the_same_dataset()
    {
        await AddAsync(db => Seed.Prompt(db, Project, "one"));
        var request = Freeze(DatasetKind.Prompts);

        var first = await World.DoAsync(request);
        await AddAsync(db => Seed.Prompt(db, Project, "two"));
        var again = await World.DoAsync(request);

        Assert.Equivalent(first, again);
        Assert.Equal(1, await World.QueryAsync(db => db.DatasetVersions.CountAsync()));
    }

    [Fact]
    public async Task Filters_hold_together_and_counting_tells_what_freezing_will_do()
    {
        var ann = await AddAsync(db =>
        {
            var ann = Seed.Person(db, "Ann");
            var ben = Seed.Person(db, "Ben");
            for (var i = 0; i < 8; i++)
                Seed.Demonstration(db, Seed.Prompt(db, Project, $"p{i}", i < 6 ? Split.Train : Split.Valid, i % 2 == 0 ? "even" : "odd"), i < 4 ? ann : ben, $"answer {i}");
            return ann;
        });

        async Task CheckAsync(DatasetFilter filter, DatasetCount expected)
        {
            Assert.Equal(expected, await World.DoAsync(new CountDataset(Admin, Project.Id, DatasetKind.Demonstrations, filter)));
            Assert.Equal(expected.Train + expected.Valid, (await World.DoAsync(Freeze(DatasetKind.Demonstrations, filter))).Rows);
        }

        await CheckAsync(Everything, new(6, 2, 0, 2));
        await CheckAsync(new(Category: "even"), new(3, 1, 0, 2));
        await CheckAsync(new(LabelerIds: [ann.Id]), new(4, 0, 0, 1));
        await CheckAsync(new(Category: "odd", LabelerIds: [ann.Id]), new(2, 0, 0, 1));
        await CheckAsync(new(Splits: [Split.Valid]), new(0, 2, 0, 1));
        await CheckAsync(new(Splits: [Split.Valid], Limit: 1), new(0, 1, 0, 1));
        await CheckAsync(new(From: DateTimeOffset.Now.AddHours(-1), Until: DateTimeOffset.Now.AddHours(1)), new(6, 2, 0, 2));
        Assert.Equal(new(0, 0, 0, 0), await World.DoAsync(new CountDataset(Admin, Project.Id, DatasetKind.Demonstrations, new(From: DateTimeOffset.Now.AddHours(1)))));
    }

    [Fact]
    public async Task Rankings_can_be_chosen_by_batch()
    {
        await AddAsync(db =>
        {
            foreach (var batch in new[] { "a", "a", "b" })
            {
                var prompt = Seed.Prompt(db, Project, Guid.NewGuid().ToString());
                var answers = Enumerable.Range(0, 2).Select(i => Seed.Demonstration(db, prompt, Seed.Person(db, $"A{i}"), $"{i}")).ToList();
                Seed.Ranking(db, prompt, Seed.Person(db, "R"), answers, [1, 2], batch: batch);
            }
            return 0;
        });

        Assert.Equal(2, (await World.DoAsync(Freeze(DatasetKind.Rankings, new(Batch: "a")))).Rows);
        await World.RefusedAsync(Freeze(DatasetKind.Prompts, new(Batch: "a")), ProblemKind.Invalid, "filter.batch");
    }

    [Fact]
    public async Task What_cannot_be_frozen_is_said_in_plain_words()
    {
        Assert.StartsWith("No demonstration matches.", (await World.RefusedAsync(Freeze(DatasetKind.Demonstrations), ProblemKind.Invalid, "filter")).Message, StringComparison.Ordinal);
        await World.RefusedAsync(Freeze(DatasetKind.Prompts, new(Limit: 0)), ProblemKind.Invalid, "filter.limit");
        await World.RefusedAsync(Freeze(DatasetKind.Prompts, name: " "), ProblemKind.Invalid, "name");
        await World.RefusedAsync(Freeze(DatasetKind.Prompts) with { ProjectId = Guid.NewGuid() }, ProblemKind.NotFound);
        await World.RefusedAsync(Freeze(DatasetKind.Prompts) with { Actor = await World.PersonAsync() }, ProblemKind.Forbidden);
        Assert.Equal(0, await World.QueryAsync(db => db.DatasetVersions.CountAsync()));
    }

    [Fact]
    public async Task A_dataset_shows_its_people_its_runs_and_its_first_rows()
    {
        var (ann, ben) = await AddAsync(db =>
        {
            var (ann, ben) = (Seed.Person(db, "Ann"), Seed.Person(db, "Ben"));
            for (var i = 0; i < 7; i++)
                Seed.Demonstration(db, Seed.Prompt(db, Project, $"p{i}"), i < 5 ? ann : ben, $"answer {i}");
            return (ann, ben);
        });
        var dataset = await World.DoAsync(Freeze(DatasetKind.Demonstrations));
        var run = await AddAsync(db => Seed.Run(db, db.DatasetVersions.Single(d => d.Id == dataset.Id)));

        var details = await World.DoAsync(new GetDataset(Admin, dataset.Id));

        Assert.Equal([new(ann.Id, "Ann", 5), new(ben.Id, "Ben", 2)], details.Labelers);
        Assert.Equal(run.Id, Assert.Single(details.Runs).RunId);
        Assert.Equal(5, details.Preview.Count);
        Assert.StartsWith("{\"id\":", details.Preview[0], StringComparison.Ordinal);
        Assert.Equivalent(dataset, details.Dataset);
        Assert.Equal(dataset.Id, Assert.Single(await World.DoAsync(new ListDatasets(Admin, Project.Id))).Id);
        Assert.Empty(await World.DoAsync(new ListDatasets(Admin, Project.Id, DatasetKind.Rankings)));
    }

    [Fact]
    public async Task Labels_that_arrive_while_freezing_are_all_in_or_all_out()
    {
        using var stop = new CancellationTokenSource();
        var writing = Task.Run(async () =>
        {
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                var n = i;
                await AddAsync(db =>
                {
                    for (var j = 0; j < 5; j++)
                        Seed.Demonstration(db, Seed.Prompt(db, Project, $"{n}/{j}"), Seed.Person(db, "P"), "x");
                    return 0;
                });
            }
        });
        while (await World.QueryAsync(db => db.Completions.CountAsync()) < 20)
            await Task.Delay(10);

        for (var i = 0; i < 10; i++)
        {
            var dataset = await World.DoAsync(Freeze(DatasetKind.Demonstrations));
            Assert.Equal(0, dataset.Rows % 5);
            Assert.Equal(dataset.Rows, await World.QueryAsync(db => db.DatasetItems.CountAsync(item => item.DatasetVersionId == dataset.Id)));
            Assert.Equal(dataset.Rows, (await RowsAsync(dataset, Split.Train)).Length);
        }
        await stop.CancelAsync();
        await writing;
    }
}
