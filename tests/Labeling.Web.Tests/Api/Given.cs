using System.Text;
using System.Text.Json;
using Labeling.Core.Model;
using Labeling.Testing;

namespace Labeling.Web.Tests.Api;

/// <summary>What many tests begin with.</summary>
internal static class Given
{
    public static async Task<Guid> ProjectAsync(HttpClient admin)
    {
        var id = Guid.CreateVersion7();
        await admin.PostAsync("projects", new { id, name = $"Project {id:N}", description = "d", guidelineMarkdown = "# Be kind", rules = new { answersPerPrompt = 2 } }).ReadAsync(System.Net.HttpStatusCode.Created);
        return id;
    }

    public static async Task<JsonElement> ImportAsync(HttpClient admin, Guid project, string jsonl, string query = "createDemonstrationTasks=true", Guid? importId = null) =>
        await admin.PostAsync($"projects/{project}/prompts?importId={importId ?? Guid.CreateVersion7()}&fileName=t.jsonl&{query}", new StringContent(jsonl, Encoding.UTF8, "application/jsonl")).ReadAsync();

    /// <summary>A ranking task over answers of a model, as a sample run leaves it.</summary>
    public static Task<(ModelCheckpoint Model, List<Completion> Answers)> RankingTaskAsync(ApiSite site, Guid project, string batch, params string[] answers) =>
        site.SeedAsync(db =>
        {
            var owner = db.Projects.Find(project)!;
            var model = Seed.Model(db, owner, "sampled");
            var run = Seed.Run(db, Seed.Dataset(db, owner, DatasetKind.Prompts), RunStage.Sample);
            var prompt = Seed.Prompt(db, owner, $"Which is best? {Guid.NewGuid()}");
            var task = new LabelingTask
            {
                Id = Guid.CreateVersion7(),
                ProjectId = project,
                PromptId = prompt.Id,
                Kind = TaskKind.Ranking,
                State = TaskState.Open,
                Overlap = 1,
                Batch = batch,
                CreatedAt = DateTimeOffset.UtcNow,
            };
            var completions = answers.Select((text, i) => Seed.Sampled(db, prompt, run, model, text, i)).ToList();
            task.Completions.AddRange(completions.Select((c, i) => new TaskCompletion { TaskId = task.Id, CompletionId = c.Id, Ordinal = i }));
            db.Tasks.Add(task);
            return (model, completions);
        });
}
