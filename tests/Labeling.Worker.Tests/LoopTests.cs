using Labeling.Core.Features.Models;
using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;
using Labeling.Testing;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Worker.Tests;

/// <summary>The recipe from stage to stage with real processes: what each run leaves in the database.</summary>
[Collection(RealProcesses.Name)]
public sealed class LoopTests(TinyModel model)
{
    [Fact]
    public async Task Demonstrations_answers_rankings_scores_and_models_follow_from_each_other()
    {
        await using var world = await WorkerWorld.CreateAsync(model);
        world.StartWorker();

        var sftRun = await world.StartAsync(RunStage.Sft, world.DemonstrationSet, [world.BaseModel], new { epochs = 2, batch_size = 14 });
        var done = await world.WaitAsync(sftRun, RunState.Completed);
        Assert.Equal((4, 4), (done.Step, done.TotalSteps));
        var sft = await ModelOfAsync(world, sftRun, ModelKind.Policy, world.BaseModel);
        Assert.Contains("loss", (await world.SendAsync(new GetRun(world.Admin, sftRun))).Result.Keys);
        Assert.Empty(Directory.GetDirectories(world.RunFolder(sftRun)).Select(Path.GetFileName).Intersect(["checkpoints", "output", "base"]));

        var sampleRun = await world.StartAsync(RunStage.Sample, world.PromptSet, [world.BaseModel, sft], new { answers_per_prompt = 2, max_new_tokens = 8, top_p = 0.9 }, rankingTasks: true, batch: "first");
        var sampled = await world.WaitAsync(sampleRun, RunState.Completed);
        await AssertSampledAsync(world, sampleRun, [world.BaseModel, sft]);
        Assert.Contains("ranking tasks", sampled.LogTail!, StringComparison.Ordinal);

        await RankAsync(world, sampleRun);
        var rankings = await world.FreezeAsync(DatasetKind.Rankings, new(Batch: "first"));
        var rewardRun = await world.StartAsync(RunStage.Reward, rankings, [sft], new { batch_size = 8 });
        await world.WaitAsync(rewardRun, RunState.Completed);
        var reward = await ModelOfAsync(world, rewardRun, ModelKind.Reward, sft);
        await AssertScoredAsync(world, reward);

        var ppoRun = await world.StartAsync(RunStage.Ppo, world.PromptSet, [sft], new { episodes = 32, batch_size = 16, max_new_tokens = 8 }, reward);
        await world.WaitAsync(ppoRun, RunState.Completed);
        var ppo = await ModelOfAsync(world, ppoRun, ModelKind.Policy, sft);
        Assert.All(await world.SendAsync(new GetRunMetrics(world.Admin, ppoRun)), point => Assert.Contains("objective/kl", point.Values.Keys));

        var lineage = (await world.SendAsync(new GetModel(world.Admin, ppo))).Lineage;
        Assert.Equal([ppo, sft, world.BaseModel, reward], lineage.Select(step => step.ModelId));
        var dpoRun = await world.StartAsync(RunStage.Dpo, rankings, [sft], new { batch_size = 8, micro_batch_size = 2, lora_rank = 2 });
        await world.WaitAsync(dpoRun, RunState.Completed);
        var dpo = await world.SendAsync(new GetModel(world.Admin, await ModelOfAsync(world, dpoRun, ModelKind.Policy, sft)));
        Assert.Equal([(RunStage.Dpo, rankings), (RunStage.Sft, world.DemonstrationSet), (null, (Guid?)null)], dpo.Lineage.Select(step => (step.Stage, step.DatasetId)));
        Assert.Contains(dpo.Lineage[0].Labelers, person => person is { DisplayName: "Rae", Rankings: > 0 });
        Assert.Contains("adapter/adapter_model.safetensors", dpo.Files.Select(file => file.Path));
        Assert.All(await world.SendAsync(new GetRunMetrics(world.Admin, dpoRun)), point => Assert.Contains("rewards/margins", point.Values.Keys));

        Assert.Equal([("Ann", WorkerWorld.Demonstrations)], lineage[1].Labelers.Select(person => (person.DisplayName, person.Demonstrations)));
    }

    [Fact]
    public async Task What_the_trainer_refuses_fails_at_once_with_its_sentence_and_the_next_run_goes_on()
    {
        await using var world = await WorkerWorld.CreateAsync(model);
        await using (var db = world.Open())
        {
            db.Attach(world.Project);
            Seed.Demonstration(db, Seed.Prompt(db, world.Project, string.Concat(Enumerable.Repeat("far too long for this model ", 60))), Seed.Person(db, "Bo"), "red");
            await db.SaveChangesAsync();
        }
        var tooLong = await world.FreezeAsync(DatasetKind.Demonstrations);
        world.StartWorker();

        var refused = await world.StartAsync(RunStage.Sft, tooLong, [world.BaseModel], new { epochs = 1, overlong = "error" });
        var next = await world.StartAsync(RunStage.Sft, world.DemonstrationSet, [world.BaseModel], new { epochs = 1 });

        var failed = await world.WaitAsync(refused, RunState.Failed);
        Assert.Equal(1, failed.Attempt);
        Assert.Contains("train.jsonl:", failed.FailureReason, StringComparison.Ordinal);
        await world.WaitAsync(next, RunState.Completed);
    }

    private static async Task<Guid> ModelOfAsync(WorkerWorld world, Guid runId, ModelKind kind, Guid parent)
    {
        await using var db = world.Open();
        var made = await db.Models.Include(made => made.Files).SingleAsync(made => made.RunId == runId);
        Assert.Equal((kind, (Guid?)parent), (made.Kind, made.ParentId));
        Assert.Superset(new HashSet<string> { "config.json", "model.safetensors", "tokenizer.json" }, made.Files.Select(file => file.Path).ToHashSet());
        return made.Id;
    }

    private static async Task AssertSampledAsync(WorkerWorld world, Guid runId, Guid[] models)
    {
        await using var db = world.Open();
        var answers = await db.Completions.Where(answer => answer.RunId == runId).ToListAsync();
        var prompts = await db.Prompts.CountAsync();
        Assert.Equal(prompts * 4, answers.Count);
        Assert.All(answers.GroupBy(answer => answer.PromptId), prompt => Assert.Equal(
            models.SelectMany(id => new[] { (id, 0), (id, 1) }).Order(), prompt.Select(answer => (answer.ModelId!.Value, answer.SampleIndex!.Value)).Order()));
        Assert.All(answers, answer => Assert.Equal((CompletionSource.Model, 0.9, 1.0), (answer.Source, answer.TopP, answer.Temperature)));
        Assert.All(answers, answer => Assert.InRange(answer.TokenCount!.Value, 1, 8));

        var tasks = await db.Tasks.Include(task => task.Completions).Where(task => task.RunId == runId).ToListAsync();
        Assert.All(tasks, task => Assert.Equal((TaskKind.Ranking, TaskState.Open, "first", world.Project.RankingOverlap), (task.Kind, task.State, task.Batch, task.Overlap)));
        var expected = answers.GroupBy(answer => answer.PromptId).ToDictionary(prompt => prompt.Key, prompt => prompt.Select(answer => answer.Text).Distinct().Count());
        Assert.Equal(expected.Where(prompt => prompt.Value >= 2).Select(prompt => prompt.Key).Order(), tasks.Select(task => task.PromptId).Order());
        Assert.All(tasks, task => Assert.Equal(expected[task.PromptId], task.Completions.Count));
    }

    /// <summary>The shorter answer is better: something a tiny reward model can learn from.</summary>
    private static async Task RankAsync(WorkerWorld world, Guid sampleRun)
    {
        await using var db = world.Open();
        var ranker = Seed.Person(db, "Rae");
        var answers = await db.Completions.Include(answer => answer.Prompt).Where(answer => answer.RunId == sampleRun).ToListAsync();
        foreach (var prompt in answers.GroupBy(answer => answer.Prompt!))
        {
            var different = prompt.DistinctBy(answer => answer.Text).ToList();
            if (different.Count < 2) continue;
            var lengths = different.Select(answer => answer.Text.Length).Distinct().Order().ToList();
            Seed.Ranking(db, prompt.Key, ranker, different, [.. different.Select(answer => 1 + lengths.IndexOf(answer.Text.Length))], batch: "first");
        }
        await db.SaveChangesAsync();
    }

    private static async Task AssertScoredAsync(WorkerWorld world, Guid reward)
    {
        await using var db = world.Open();
        var ranked = await db.RankingEntries.Select(entry => entry.CompletionId).Distinct().OrderBy(id => id).ToListAsync();
        var scores = await db.CompletionScores.Include(score => score.Completion).ThenInclude(answer => answer!.Prompt).Where(score => score.ModelId == reward).ToListAsync();
        Assert.Equal(ranked, scores.Select(score => score.CompletionId).Order());
        Assert.All(scores, score => Assert.Equal(score.Completion!.Prompt!.Split, score.Split));
        Assert.True(scores.Select(score => score.Score).Distinct().Count() > 1, "all scores are the same");
    }
}
