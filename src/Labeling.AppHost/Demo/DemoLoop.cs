using System.Diagnostics;
using System.Text.Json;
using Labeling.AppHost.Starter;
using Labeling.Core.Features.Rankings;
using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;

namespace Labeling.AppHost.Demo;

/// <summary>
/// The whole loop once, through the site's HTTP API: demonstrations, SFT, K answers to each prompt, rankings, reward model, PPO, and a blind
/// comparison of base, SFT and PPO on prompts nobody has seen. The scripted people see texts and nothing else; the trainers see what people did.
/// </summary>
internal sealed class DemoLoop(DemoPeople people, DemoPlan plan, int seed, DemoProgress progress)
{
    private const string RankingBatch = "demo-rankings";
    private const string ComparisonBatch = "demo-comparison";

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(500);

    private readonly StarterWorld _world = new(seed);
    private readonly Dictionary<string, WorldTask> _tasks = [];
    private readonly Dictionary<string, double> _seconds = [];
    private readonly Stopwatch _total = Stopwatch.StartNew();
    private Guid _project;

    public async Task<DemoResult> PlayAsync(CancellationToken cancel)
    {
        _project = await people.Admin.CreateProjectAsync(
            new
            {
                id = Guid.CreateVersion7(),
                name = "Demo: the starter world",
                description = "Scripted people teach the starter model.",
                guidelineMarkdown = StarterProject.Guideline,
                rules = new { demonstrationOverlap = 1, rankingOverlap = 1, answersPerPrompt = plan.AnswersPerPrompt, leaseMinutes = 30 },
            }, cancel);
        Guid baseModel = await people.RegisterBaseAsync(_project, cancel);

        Guid demonstrations = await TimedAsync("demonstrations", () => DemonstrateAsync(cancel));
        Guid sft = ModelOf(await RunAsync("sft", RunStage.Sft, demonstrations, [baseModel], null, plan.Sft, null, cancel));

        (Guid rankable, Guid practice) = await ImportForRankingAsync(cancel);
        await RunAsync("sample", RunStage.Sample, rankable, [sft], null, plan.Sampling, RankingBatch, cancel);
        Guid rankings = await TimedAsync("rankings", () => RankAsync("rankings", RankingBatch, plan.RankedPrompts, cancel));
        Guid reward = ModelOf(await RunAsync("reward", RunStage.Reward, rankings, [sft], null, plan.Reward, null, cancel));

        RunDetails ppoRun = await RunAsync("ppo", RunStage.Ppo, practice, [sft], reward, plan.Ppo, null, cancel);
        Guid ppo = ModelOf(ppoRun);

        Guid heldOut = await ImportAsync("held-out.jsonl", _world.Prompts(WorldSplit.HeldOut, plan.ComparedPrompts), _ => "test", false, cancel);
        Guid compared = await FreezeAsync("Held-out prompts", DatasetKind.Prompts, new { importId = heldOut }, cancel);
        await RunAsync("comparison sampling", RunStage.Sample, compared, [baseModel, sft, ppo], null, plan.Comparing, ComparisonBatch, cancel);
        await TimedAsync("comparison", () => RankAsync("comparison", ComparisonBatch, plan.ComparedPrompts, cancel));

        return await MeasureAsync(reward, (baseModel, sft, ppo), ppoRun.Result["objective/kl"], cancel);
    }

    private async Task<Guid> DemonstrateAsync(CancellationToken cancel)
    {
        // Every tenth demonstration is held out, for the validation loss.
        IReadOnlyList<WorldTask> tasks = _world.Prompts(WorldSplit.Demonstrations, plan.Demonstrations);
        Guid import = await ImportAsync("demonstrations.jsonl", tasks, i => i % 10 == 9 ? "valid" : "train", true, cancel);
        int done = 0;
        await Task.WhenAll(people.Writers.Select(async writer =>
        {
            while (await writer.Site.NextTaskAsync(_project, TaskKind.Demonstration, cancel) is { } work)
            {
                await writer.Site.SubmitDemonstrationAsync(work.Id, writer.Person.Write(TaskOf(work.Messages), seed), cancel);
                progress.Show("demonstrations", Interlocked.Increment(ref done), plan.Demonstrations);
            }
        }));
        return await FreezeAsync("Demonstrations", DatasetKind.Demonstrations, new { importId = import }, cancel);
    }

    private async Task<(Guid Rankable, Guid Practice)> ImportForRankingAsync(CancellationToken cancel)
    {
        IReadOnlyList<WorldTask> tasks = _world.Prompts(WorldSplit.Preferences, plan.RankedPrompts + plan.PracticePrompts);
        int training = plan.RankedPrompts - plan.RankedForValidation;
        Guid import = await ImportAsync("ranking.jsonl", tasks.Take(plan.RankedPrompts), i => i < training ? "train" : "valid", false, cancel);
        await ImportAsync("practice.jsonl", tasks.Skip(plan.RankedPrompts), _ => "train", false, cancel);
        return (await FreezeAsync("Prompts to rank", DatasetKind.Prompts, new { importId = import }, cancel),
            await FreezeAsync("Prompts for PPO", DatasetKind.Prompts, new { splits = new[] { Split.Train } }, cancel));
    }

    private async Task<Guid> RankAsync(string stage, string batch, int expected, CancellationToken cancel)
    {
        int done = 0;
        await Task.WhenAll(people.Judges.Select(async judge =>
        {
            while (await judge.Site.NextTaskAsync(_project, TaskKind.Ranking, cancel) is { } work)
            {
                int[] ranks = judge.Person.Rank(TaskOf(work.Messages), [.. work.Answers.Select(a => a.Text)]);
                await judge.Site.SubmitRankingAsync(work.Id, work.Answers.Select((a, i) => new RankedAnswer(a.CompletionId, ranks[i])), cancel);
                progress.Show(stage, Interlocked.Increment(ref done), expected);
            }
        }));
        return await FreezeAsync($"Rankings of {batch}", DatasetKind.Rankings, new { batch }, cancel);
    }

    private async Task<Guid> ImportAsync(string name, IEnumerable<WorldTask> tasks, Func<int, string> split, bool askForDemonstrations, CancellationToken cancel)
    {
        List<string> lines = [];
        foreach (WorldTask task in tasks)
        {
            _tasks[task.Prompt] = task;
            lines.Add(JsonSerializer.Serialize(new { prompt = task.Prompt, category = task.Family.Name, split = split(lines.Count) }));
        }
        Guid import = Guid.CreateVersion7();
        await people.Admin.ImportPromptsAsync(_project, import, name, string.Join('\n', lines), askForDemonstrations, cancel);
        return import;
    }

    private async Task<Guid> FreezeAsync(string name, DatasetKind kind, object filter, CancellationToken cancel) =>
        (await people.Admin.FreezeAsync(_project, name, kind, filter, cancel)).Id;

    private Task<RunDetails> RunAsync(
        string name, RunStage stage, Guid dataset, Guid[] models, Guid? reward, Dictionary<string, object> hyperparameters, string? batch, CancellationToken cancel) => TimedAsync(name, async () =>
    {
        Guid id = await people.Admin.StartRunAsync(
            _project,
            new
            {
                id = Guid.CreateVersion7(),
                name = $"Demo {name}",
                stage,
                datasetVersionId = dataset,
                baseModelIds = models,
                rewardModelId = reward,
                hyperparameters,
                seed = (long)seed,
                createRankingTasks = batch is not null,
                batch,
            }, cancel);
        while (true)
        {
            RunDetails details = await people.Admin.RunAsync(id, cancel);
            progress.Show(name, details.Run.Step, details.Run.TotalSteps ?? 0);
            switch (details.Run.State)
            {
                case RunState.Completed:
                    return details;
                case RunState.Failed or RunState.Cancelled:
                    throw new HostException($"The run '{details.Run.Name}' {(details.Run.State == RunState.Failed ? "failed" : "was cancelled")}: {details.Run.FailureReason}\n{details.LogTail}");
                default:
                    await Task.Delay(PollInterval, cancel);
                    break;
            }
        }
    });

    private static Guid ModelOf(RunDetails details) => details.Run.ModelId ?? throw new HostException($"The run '{details.Run.Name}' made no model.");

    private async Task<DemoResult> MeasureAsync(Guid reward, (Guid Base, Guid Sft, Guid Ppo) models, double kl, CancellationToken cancel)
    {
        Dictionary<Guid, double> scores = (await people.Admin.ScoresAsync(reward, cancel)).GroupBy(s => s.CompletionId).ToDictionary(g => g.Key, g => g.First().Score);
        List<JudgedAnswer[]> held = [.. (await people.Admin.RankingsAsync(_project, RankingBatch, cancel))
            .Where(r => r.Split == Split.Valid && r.Answers.All(a => scores.ContainsKey(a.CompletionId)))
            .Select(r => r.Answers.Select(a => new JudgedAnswer(a.Rank, Quality.Utility(TaskOf(r.Messages), a.Text), scores[a.CompletionId])).ToArray())];

        List<Compared> compared = [.. (await people.Admin.RankingsAsync(_project, ComparisonBatch, cancel)).Select(r => new Compared(TaskOf(r.Messages), ByModel(r)))];
        // A prompt to which all three models gave the very same answer was not shown to anybody: a tie.
        int same = plan.ComparedPrompts - compared.Count;
        Interval Wins(Guid first, Guid second) => Comparisons.WinRate(compared
            .Where(c => c.Answers.ContainsKey(first) && c.Answers.ContainsKey(second)).Select(c => (c.Answers[first].Rank, c.Answers[second].Rank))
            .Concat(Enumerable.Repeat((1, 1), same)));
        double Truth(Guid model) => compared.Where(c => c.Answers.ContainsKey(model)).Average(c => Quality.Utility(c.Task, c.Answers[model].Text));
        Interval sft = Wins(models.Sft, models.Base), ppo = Wins(models.Ppo, models.Sft);
        _seconds["total"] = _total.Elapsed.TotalSeconds;
        return new DemoResult(
            Comparisons.RewardAccuracy(held), Comparisons.TruthAccuracy(held), Comparisons.RewardAgainstTruth(held), sft, ppo, kl,
            new Dictionary<string, double> { ["base"] = Truth(models.Base), ["sft"] = Truth(models.Sft), ["ppo"] = Truth(models.Ppo) }, _seconds);
    }

    private sealed record Compared(WorldTask Task, Dictionary<Guid, RankedText> Answers);

    private static Dictionary<Guid, RankedText> ByModel(RankingView ranking)
    {
        Dictionary<Guid, RankedText> answers = [];
        foreach (RankedText answer in ranking.Answers)
            foreach (Guid model in answer.SameTextFrom.Append(answer.ModelId ?? Guid.Empty))
                answers[model] = answer;
        return answers;
    }

    /// <summary>A scripted person knows a prompt by its text, as anybody does.</summary>
    private WorldTask TaskOf(IReadOnlyList<Message> messages) =>
        _tasks.TryGetValue(messages[^1].Content, out WorldTask? task) ? task : throw new HostException($"The site shows a prompt that the demo did not import: {messages[^1].Content}");

    private async Task<T> TimedAsync<T>(string stage, Func<Task<T>> work)
    {
        Stopwatch watch = Stopwatch.StartNew();
        progress.Begin(stage);
        T result = await work();
        progress.End(stage);
        _seconds[stage.Replace(' ', '_')] = watch.Elapsed.TotalSeconds;
        return result;
    }
}
