using System.Net;
using System.Text.Json;
using Labeling.Core.Model;

namespace Labeling.Web.Tests.Api;

/// <summary>The way of a script that labels.</summary>
public sealed class LabelingTests(ApiSite site)
{
    [Fact]
    public async Task A_project_is_created_once_however_often_it_is_sent()
    {
        var admin = await site.AdminAsync();
        var id = Guid.CreateVersion7();
        var body = new { id, name = "Once", description = "d", guidelineMarkdown = "# g", rules = new { demonstrationOverlap = 2, rankingOverlap = 3, answersPerPrompt = 5, leaseMinutes = 10 } };

        using var first = await admin.PostAsync("projects", body);
        Assert.Equal($"/api/v1/projects/{id}", first.Headers.Location?.ToString());
        Assert.Equal(id, (await Task.FromResult(first).ReadAsync(HttpStatusCode.Created)).Id());
        Assert.Equal(id, (await admin.PostAsync("projects", body).ReadAsync(HttpStatusCode.Created)).Id());

        var project = await admin.GetAsync($"projects/{id}").ReadAsync();
        Assert.Equal("# g", project.Text("guidelineMarkdown"));
        Assert.Equal([2, 3, 5, 10], project.GetProperty("rules").EnumerateObject().Select(r => r.Value.GetInt32()));
        Assert.Single((await admin.GetAsync("projects").ReadAsync()).EnumerateArray(), p => p.Id() == id);
    }

    [Fact]
    public async Task A_demonstration_goes_from_claim_to_submission_and_a_retry_changes_nothing()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        await Given.ImportAsync(admin, project, """{"prompt":"When does the library open?"}""");
        var (_, person) = await site.PersonAsync(Roles.Annotator);

        Assert.Contains((await person.GetAsync("queue").ReadAsync()).GetProperty("projects").EnumerateArray(), p => p.Id() == project && p.GetProperty("demonstrationsWaiting").GetInt32() == 1);
        var taken = await person.PostAsync($"projects/{project}/tasks/next", new { kind = "demonstration" }).ReadAsync();
        var work = taken.GetProperty("work");
        var assignment = taken.GetProperty("assignment").Id("assignmentId");
        Assert.Equal("When does the library open?", work.GetProperty("messages")[0].Text("content"));
        Assert.Equal("# Be kind", work.Text("guidelineMarkdown"));
        Assert.Equal("demonstration", work.Text("kind"));
        Assert.True(taken.GetProperty("assignment").GetProperty("expiresAt").GetDateTimeOffset() > DateTimeOffset.UtcNow);

        // Asking again gives the same task back.
        Assert.Equal(assignment, (await person.PostAsync($"projects/{project}/tasks/next", new { kind = "demonstration" }).ReadAsync()).GetProperty("assignment").Id("assignmentId"));

        Assert.Equal(1, (await person.PutAsync($"assignments/{assignment}/draft", new { basedOn = 0, text = "At nine" }).ReadAsync()).GetProperty("version").GetInt32());
        Assert.Equal("At nine", (await person.GetAsync($"assignments/{assignment}").ReadAsync()).Text("draft"));
        Assert.True((await person.PostAsync($"assignments/{assignment}/renew", "").ReadAsync()).GetProperty("expiresAt").GetDateTimeOffset() > DateTimeOffset.UtcNow);

        var id = Guid.CreateVersion7();
        var submitted = await person.PostAsync($"assignments/{assignment}/demonstration", new { id, text = "At nine.", secondsSpent = 12 }).ReadAsync();
        Assert.Equal((id, false), (submitted.Id(), submitted.GetProperty("surplus").GetBoolean()));
        Assert.Equal(id, (await person.PostAsync($"assignments/{assignment}/demonstration", new { id, text = "At nine.", secondsSpent = 12 }).ReadAsync()).Id());
        await person.PostAsync($"assignments/{assignment}/demonstration", new { id, text = "Something else." }).ProblemAsync(HttpStatusCode.Conflict);
        await using var db = site.Database.CreateContext();
        Assert.Equal("At nine.", (await db.Completions.FindAsync(id))!.Text);

        using var nothing = await person.PostAsync($"projects/{project}/tasks/next", new { kind = "demonstration" });
        Assert.Equal(HttpStatusCode.NoContent, nothing.StatusCode);
    }

    [Fact]
    public async Task A_draft_on_an_older_version_is_a_conflict_that_carries_the_stored_text()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        await Given.ImportAsync(admin, project, """{"prompt":"one"}""");
        var (_, person) = await site.PersonAsync(Roles.Annotator);
        var assignment = (await person.PostAsync($"projects/{project}/tasks/next", new { kind = "demonstration" }).ReadAsync()).GetProperty("assignment").Id("assignmentId");
        await person.PutAsync($"assignments/{assignment}/draft", new { basedOn = 0, text = "from the first tab" }).ReadAsync();

        var conflict = await person.PutAsync($"assignments/{assignment}/draft", new { basedOn = 0, text = "from the second tab" }).ProblemAsync(HttpStatusCode.Conflict);
        Assert.True(conflict.GetProperty("conflict").GetBoolean());
        Assert.Equal(1, conflict.GetProperty("version").GetInt32());
        Assert.Equal("from the first tab", conflict.Text("storedText"));
        Assert.Equal("from the first tab", (await person.GetAsync($"assignments/{assignment}").ReadAsync()).Text("draft"));
    }

    [Fact]
    public async Task A_skipped_task_does_not_come_back_to_the_same_person()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        await Given.ImportAsync(admin, project, """{"prompt":"one"}""");
        var (_, person) = await site.PersonAsync(Roles.Annotator);
        var assignment = (await person.PostAsync($"projects/{project}/tasks/next", new { kind = "demonstration" }).ReadAsync()).GetProperty("assignment").Id("assignmentId");

        await person.PostAsync($"assignments/{assignment}/skip", new { reason = "Not my language." }).ReadAsync(HttpStatusCode.NoContent);

        using var nothing = await person.PostAsync($"projects/{project}/tasks/next", new { kind = "demonstration" });
        Assert.Equal(HttpStatusCode.NoContent, nothing.StatusCode);
        var (_, other) = await site.PersonAsync(Roles.Annotator);
        await other.PostAsync($"projects/{project}/tasks/next", new { kind = "demonstration" }).ReadAsync();
    }

    [Fact]
    public async Task A_ranking_with_a_tie_ratings_and_flags_comes_out_as_it_went_in()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        var (model, answers) = await Given.RankingTaskAsync(site, project, "round 1", "good", "fair", "also fair");
        var (ranker, client) = await site.PersonAsync(Roles.Ranker, "Rae");
        var taken = await client.PostAsync($"projects/{project}/tasks/next", new { kind = "ranking" }).ReadAsync();
        var assignment = taken.GetProperty("assignment").Id("assignmentId");
        var shown = taken.GetProperty("work").GetProperty("answers").EnumerateArray().ToList();
        Assert.Equal(answers.Select(a => a.Id).Order(), shown.Select(a => a.Id("completionId")).Order());
        Assert.DoesNotContain("model", JsonSerializer.Serialize(shown), StringComparison.OrdinalIgnoreCase);

        var id = Guid.CreateVersion7();
        var body = new
        {
            id,
            answers = new[] { new { completionId = answers[0].Id, rank = 1 }, new { completionId = answers[1].Id, rank = 2 }, new { completionId = answers[2].Id, rank = 2 } },
            strength = 3,
            notes = "The second makes it up.",
            ratings = new[] { new { completionId = answers[1].Id, quality = 2, flags = new[] { "hallucination", "failsInstruction" } } },
            secondsSpent = 40,
        };
        await client.PostAsync($"assignments/{assignment}/ranking", body).ReadAsync();
        Assert.Equal(id, (await client.PostAsync($"assignments/{assignment}/ranking", body).ReadAsync()).Id());

        var page = await admin.GetAsync($"projects/{project}/rankings?batch=round%201").ReadAsync();
        var ranking = Assert.Single(page.GetProperty("items").EnumerateArray());
        Assert.Equal(id, ranking.Id());
        Assert.Equal(
            [(answers[0].Id, 1, model.Id), (answers[1].Id, 2, model.Id), (answers[2].Id, 2, model.Id)],
            ranking.GetProperty("answers").EnumerateArray().Select(a => (a.Id("completionId"), a.GetProperty("rank").GetInt32(), a.Id("modelId"))).OrderBy(a => Array.IndexOf([.. answers.Select(x => x.Id)], a.Item1)));
        Assert.Empty((await admin.GetAsync($"projects/{project}/rankings?batch=another").ReadAsync()).GetProperty("items").EnumerateArray());

        await using var db = site.Database.CreateContext();
        var rating = Assert.Single(db.Set<CompletionRating>(), r => r.RankingId == id);
        Assert.Equal(CompletionFlags.Hallucination | CompletionFlags.FailsInstruction, rating.Flags);
        Assert.Equal(ranker.Id, db.Rankings.Single(r => r.Id == id).UserId);
    }

    [Fact]
    public async Task A_ranking_of_other_answers_than_the_shown_is_refused_with_the_field_named()
    {
        var admin = await site.AdminAsync();
        var project = await Given.ProjectAsync(admin);
        var (_, answers) = await Given.RankingTaskAsync(site, project, "b", "one", "two");
        var (_, client) = await site.PersonAsync(Roles.Ranker);
        var assignment = (await client.PostAsync($"projects/{project}/tasks/next", new { kind = "ranking" }).ReadAsync()).GetProperty("assignment").Id("assignmentId");

        var problem = await client.PostAsync($"assignments/{assignment}/ranking", new { id = Guid.CreateVersion7(), answers = new[] { new { completionId = answers[0].Id, rank = 1 } } })
            .ProblemAsync(HttpStatusCode.BadRequest);
        Assert.Contains(problem.GetProperty("errors").EnumerateObject(), e => e.Name.StartsWith("answers", StringComparison.Ordinal));
    }
}
