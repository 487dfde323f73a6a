using System.Security.Cryptography;
using System.Text.Json;
using Labeling.Core.Data;
using Labeling.Core.Model;

namespace Labeling.Testing;

/// <summary>
/// Rows for tests about runs and datasets, put into the database directly: a project with people, prompts, demonstrations and rankings.
/// Add them to a context and save; the database's own constraints judge them.
/// </summary>
public static class Seed
{
    private static int number;

    public static Project Project(LabelingDbContext db, Action<Project>? change = null)
    {
        var project = new Project { Id = Guid.CreateVersion7(), Name = $"Project {Interlocked.Increment(ref number)}", CreatedAt = DateTimeOffset.UtcNow };
        change?.Invoke(project);
        db.Projects.Add(project);
        return project;
    }

    public static AppUser Person(LabelingDbContext db, string name, Roles roles = Roles.Annotator | Roles.Ranker)
    {
        var email = $"{name}.{Interlocked.Increment(ref number)}@example.org".ToLowerInvariant();
        var person = new AppUser
        {
            Id = Guid.CreateVersion7(),
            DisplayName = name,
            Roles = roles,
            UserName = email,
            NormalizedUserName = email.ToUpperInvariant(),
            Email = email,
            NormalizedEmail = email.ToUpperInvariant(),
            SecurityStamp = Guid.NewGuid().ToString(),
            CreatedAt = DateTimeOffset.UtcNow,
        };
        db.Users.Add(person);
        return person;
    }

    public static Prompt Prompt(LabelingDbContext db, Project project, string text, Split split = Split.Train, string? category = null)
    {
        Message[] messages = [new("user", text)];
        var prompt = new Prompt
        {
            Id = Guid.CreateVersion7(),
            ProjectId = project.Id,
            Messages = messages,
            Source = PromptSource.Api,
            Split = split,
            Category = category,
            Consent = true,
            ContentHash = SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(messages)),
            CreatedAt = DateTimeOffset.UtcNow,
        };
        db.Prompts.Add(prompt);
        return prompt;
    }

    /// <summary>A person's answer, as if its task were long gone.</summary>
    public static Completion Demonstration(LabelingDbContext db, Prompt prompt, AppUser author, string text, bool surplus = false)
    {
        var completion = new Completion
        {
            Id = Guid.CreateVersion7(),
            PromptId = prompt.Id,
            Source = CompletionSource.Human,
            Text = text,
            AuthorId = author.Id,
            Surplus = surplus,
            CreatedAt = DateTimeOffset.UtcNow,
        };
        db.Completions.Add(completion);
        return completion;
    }

    /// <summary>A model's answer, as a sample run leaves it.</summary>
    public static Completion Sampled(LabelingDbContext db, Prompt prompt, TrainingRun run, ModelCheckpoint model, string text, int index = 0)
    {
        var completion = new Completion
        {
            Id = Guid.CreateVersion7(),
            PromptId = prompt.Id,
            Source = CompletionSource.Model,
            Text = text,
            ModelId = model.Id,
            RunId = run.Id,
            SampleIndex = index,
            Temperature = 1,
            TopP = 1,
            Seed = index,
            TokenCount = 3,
            FinishReason = "stop",
            CreatedAt = DateTimeOffset.UtcNow,
        };
        db.Completions.Add(completion);
        return completion;
    }

    /// <summary>A finished ranking of answers that exist, ranks in the order of the answers.</summary>
    public static Ranking Ranking(
        LabelingDbContext db, Prompt prompt, AppUser ranker, IReadOnlyList<Completion> answers, IReadOnlyList<int> ranks, int? strength = null, string? batch = null, bool surplus = false)
    {
        var (task, assignment) = Finished(db, prompt, ranker, batch, surplus);
        for (var i = 0; i < answers.Count; i++)
            task.Completions.Add(new() { TaskId = task.Id, CompletionId = answers[i].Id, Ordinal = i });
        var ranking = new Ranking
        {
            Id = Guid.CreateVersion7(),
            TaskId = task.Id,
            AssignmentId = assignment.Id,
            PromptId = prompt.Id,
            UserId = ranker.Id,
            ShownOrder = [.. answers.Select(answer => answer.Id)],
            Strength = strength,
            Surplus = surplus,
            CreatedAt = DateTimeOffset.UtcNow,
            Entries = [.. answers.Select((answer, i) => new RankingEntry { CompletionId = answer.Id, Rank = ranks[i] })],
        };
        db.Rankings.Add(ranking);
        return ranking;
    }

    public static DatasetVersion Dataset(LabelingDbContext db, Project project, DatasetKind kind = DatasetKind.Demonstrations)
    {
        var dataset = new DatasetVersion
        {
            Id = Guid.CreateVersion7(),
            ProjectId = project.Id,
            Name = "data",
            Number = Interlocked.Increment(ref number),
            Kind = kind,
            Filter = "{}",
            RowCount = 1,
            Sha256 = new string('0', 64),
            CreatedAt = DateTimeOffset.UtcNow,
        };
        db.DatasetVersions.Add(dataset);
        return dataset;
    }

    public static ModelCheckpoint Model(LabelingDbContext db, Project project, string name = "base", ModelKind kind = ModelKind.Policy)
    {
        var model = new ModelCheckpoint { Id = Guid.CreateVersion7(), ProjectId = project.Id, Name = name, Kind = kind, CreatedAt = DateTimeOffset.UtcNow };
        db.Models.Add(model);
        return model;
    }

    /// <summary>A waiting run.</summary>
    public static TrainingRun Run(LabelingDbContext db, DatasetVersion dataset, RunStage stage = RunStage.Sft, int priority = 0, int maxAttempts = 3)
    {
        var run = new TrainingRun
        {
            Id = Guid.CreateVersion7(),
            ProjectId = dataset.ProjectId,
            Name = $"run {Interlocked.Increment(ref number)}",
            Stage = stage,
            Hyperparameters = "{}",
            DatasetVersionId = dataset.Id,
            Priority = priority,
            MaxAttempts = maxAttempts,
            CreatedAt = DateTimeOffset.UtcNow,
        };
        db.TrainingRuns.Add(run);
        return run;
    }

    private static (LabelingTask Task, Assignment Assignment) Finished(LabelingDbContext db, Prompt prompt, AppUser person, string? batch, bool surplus)
    {
        var task = new LabelingTask
        {
            Id = Guid.CreateVersion7(),
            ProjectId = prompt.ProjectId,
            PromptId = prompt.Id,
            Kind = TaskKind.Ranking,
            State = surplus ? TaskState.Open : TaskState.Done,
            Overlap = 1,
            Taken = surplus ? 0 : 1,
            Finished = surplus ? 0 : 1,
            Batch = batch,
            CreatedAt = DateTimeOffset.UtcNow,
        };
        var assignment = new Assignment
        {
            Id = Guid.CreateVersion7(),
            TaskId = task.Id,
            UserId = person.Id,
            State = surplus ? AssignmentState.Surplus : AssignmentState.Submitted,
            Overlap = 1,
            Slot = surplus ? null : 1,
            LeaseToken = Guid.NewGuid(),
            ClaimedAt = DateTimeOffset.UtcNow,
            ExpiresAt = DateTimeOffset.UtcNow.AddMinutes(30),
            FinishedAt = DateTimeOffset.UtcNow,
        };
        db.Tasks.Add(task);
        db.Assignments.Add(assignment);
        return (task, assignment);
    }
}
