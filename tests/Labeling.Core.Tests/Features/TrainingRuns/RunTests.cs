using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Core.Runs;
using Labeling.Testing;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Tests.Features.TrainingRuns;

public sealed class RunTests : InRunWorld
{
    private DatasetVersion _demonstrations = null!, _rankings = null!, _prompts = null!;
    private ModelCheckpoint _base = null!;

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        (_demonstrations, _rankings, _prompts, _base) = await AddAsync(db =>
        {
            DatasetVersion Set(DatasetKind kind)
            {
                var set = Seed.Dataset(db, Project, kind);
                db.DatasetFiles.Add(new() { DatasetVersionId = set.Id, Split = Split.Train, Rows = 1, Sha256 = set.Sha256 });
                return set;
            }

            return (Set(DatasetKind.Demonstrations), Set(DatasetKind.Rankings), Set(DatasetKind.Prompts), Seed.Model(db, Project));
        });
    }

    private StartRun Start(RunStage stage, DatasetVersion dataset, params Guid[] models) =>
        new(Admin, Guid.CreateVersion7(), Project.Id, "My run", stage, dataset.Id, models, null, new Dictionary<string, object?>());

    private Task<ModelCheckpoint> MadeByAsync(RunStage stage, ModelKind kind, string name) => AddAsync(db =>
    {
        var run = Seed.Run(db, db.DatasetVersions.Single(set => set.Id == _demonstrations.Id), stage);
        var model = new ModelCheckpoint { Id = Guid.CreateVersion7(), ProjectId = Project.Id, Name = name, Kind = kind, RunId = run.Id };
        db.Models.Add(model);
        return model;
    });

    [Fact]
    public async Task A_started_run_waits_for_a_worker_with_all_it_needs()
    {
        var request = Start(RunStage.Sft, _demonstrations, _base.Id) with { Hyperparameters = new Dictionary<string, object?> { ["learning_rate"] = 0.001 }, Seed = 7 };
        var id = await World.DoAsync(request);
        Assert.Equal(id, await World.DoAsync(request));

        var details = await World.DoAsync(new GetRun(Admin, id));
        Assert.Equal((RunState.Available, RunStage.Sft, 7L, "Ada Admin"), (details.Run.State, details.Run.Stage, details.Seed, details.StartedBy));
        Assert.Equal("0.001", details.Hyperparameters["learning_rate"]);
        Assert.Equal(new RunModelView(_base.Id, _base.Name, RunModelRole.Base), Assert.Single(details.Models));
        Assert.Equal(id, (await Queue().ClaimAsync("w", CancellationToken.None))!.RunId);
        Assert.Null(await Queue().ClaimAsync("w", CancellationToken.None));
    }

    [Fact]
    public async Task What_does_not_fit_is_refused_with_the_field()
    {
        var reward = await MadeByAsync(RunStage.Reward, ModelKind.Reward, "rm");
        var elsewhere = await AddAsync(db => Seed.Model(db, Seed.Project(db)));
        Task<Problem> RefusedAsync(StartRun request, string field) => World.RefusedAsync(request, ProblemKind.Invalid, field);

        Assert.Equal("SFT needs a dataset of demonstrations, this one holds rankings.", (await RefusedAsync(Start(RunStage.Sft, _rankings, _base.Id), "datasetVersionId")).Message);
        await RefusedAsync(Start(RunStage.Reward, _demonstrations, _base.Id), "datasetVersionId");
        await RefusedAsync(Start(RunStage.Ppo, _rankings, _base.Id) with { RewardModelId = reward.Id }, "datasetVersionId");
        Assert.Equal("DPO needs a dataset of rankings, this one holds demonstrations.", (await RefusedAsync(Start(RunStage.Dpo, _demonstrations, _base.Id), "datasetVersionId")).Message);
        await RefusedAsync(Start(RunStage.Dpo, _rankings, reward.Id), "baseModelIds");
        await RefusedAsync(Start(RunStage.Dpo, _rankings, _base.Id) with { RewardModelId = reward.Id }, "rewardModelId");
        await RefusedAsync(Start(RunStage.Sft, _demonstrations), "baseModelIds");
        await RefusedAsync(Start(RunStage.Sft, _demonstrations, _base.Id, _base.Id), "baseModelIds");
        await RefusedAsync(Start(RunStage.Sample, _prompts, _base.Id, _base.Id), "baseModelIds");
        await RefusedAsync(Start(RunStage.Sft, _demonstrations, reward.Id), "baseModelIds");
        await RefusedAsync(Start(RunStage.Sft, _demonstrations, elsewhere.Id), "baseModelIds");
        await RefusedAsync(Start(RunStage.Ppo, _prompts, _base.Id), "rewardModelId");
        await RefusedAsync(Start(RunStage.Ppo, _prompts, _base.Id) with { RewardModelId = _base.Id }, "rewardModelId");
        await RefusedAsync(Start(RunStage.Sft, _demonstrations, _base.Id) with { RewardModelId = reward.Id }, "rewardModelId");
        await RefusedAsync(Start(RunStage.Sft, _demonstrations, _base.Id) with { CreateRankingTasks = true }, "createRankingTasks");
        await RefusedAsync(Start(RunStage.Sft, _demonstrations, _base.Id) with { Hyperparameters = new Dictionary<string, object?> { ["lerning_rate"] = 1 } }, "hyperparameters.lerning_rate");
        await RefusedAsync(Start(RunStage.Sft, _demonstrations, _base.Id) with { Name = "" }, "name");
        await World.RefusedAsync(Start(RunStage.Sft, _demonstrations, _base.Id) with { Actor = await World.PersonAsync() }, ProblemKind.Forbidden);
        Assert.Equal(0, await World.QueryAsync(db => db.TrainingRuns.CountAsync(run => run.Name == "My run")));
    }

    [Fact]
    public async Task A_training_run_needs_training_rows()
    {
        var held = await AddAsync(db =>
        {
            var set = Seed.Dataset(db, Project, DatasetKind.Demonstrations);
            db.DatasetFiles.Add(new() { DatasetVersionId = set.Id, Split = Split.Test, Rows = 1, Sha256 = set.Sha256 });
            return set;
        });
        Assert.Contains("split train", (await World.RefusedAsync(Start(RunStage.Sft, held, _base.Id), ProblemKind.Invalid, "datasetVersionId")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, null, 4)]
    [InlineData(2, null, 2)]
    [InlineData(2, 4, 4)]
    [InlineData(1, 1, null)]
    [InlineData(2, 5, null)]
    public async Task Ranking_tasks_show_two_to_nine_answers(int models, int? asked, int? perModel)
    {
        var others = models == 1 ? [] : new[] { (await AddAsync(db => Seed.Model(db, Project, "other"))).Id };
        var request = Start(RunStage.Sample, _prompts, [_base.Id, .. others]) with
        {
            CreateRankingTasks = true,
            Hyperparameters = asked is null ? new Dictionary<string, object?>() : new Dictionary<string, object?> { ["answers_per_prompt"] = asked },
        };
        if (perModel is null)
        {
            await World.RefusedAsync(request, ProblemKind.Invalid, "hyperparameters.answers_per_prompt");
            return;
        }

        var details = await World.DoAsync(new GetRun(Admin, await World.DoAsync(request)));
        Assert.Equal(perModel.ToString(), details.Hyperparameters["answers_per_prompt"]);
        Assert.Equal("My run", details.Batch);
    }

    [Fact]
    public async Task The_form_follows_the_recipe_from_stage_to_stage()
    {
        async Task<RunSuggestion> SuggestAsync(RunStage stage) => await World.DoAsync(new SuggestRun(Admin, Project.Id, stage));

        var sft = await SuggestAsync(RunStage.Sft);
        Assert.Equal((_base.Id, _demonstrations.Id, null, RunStage.Sample), (sft.PolicyId, sft.DatasetId, sft.Missing, sft.NextStage));
        Assert.Contains(sft.Hyperparameters, known => known.Name == "epochs" && known.Default is not null);
        Assert.Equal("There is no reward model. Train one on rankings first.", (await SuggestAsync(RunStage.Ppo)).Missing);

        var taught = await MadeByAsync(RunStage.Sft, ModelKind.Policy, "sft");
        Assert.Equal(taught.Id, (await SuggestAsync(RunStage.Sample)).PolicyId);
        Assert.Equal((taught.Id, _rankings.Id), ((await SuggestAsync(RunStage.Reward)).PolicyId, (await SuggestAsync(RunStage.Reward)).DatasetId));
        Assert.Equal(_base.Id, (await SuggestAsync(RunStage.Sft)).PolicyId);
        Assert.Equal("4", (await SuggestAsync(RunStage.Sample)).Hyperparameters.Single(known => known.Name == "answers_per_prompt").Default);

        var reward = await MadeByAsync(RunStage.Reward, ModelKind.Reward, "rm");
        var ppo = await SuggestAsync(RunStage.Ppo);
        Assert.Equal((taught.Id, reward.Id, _prompts.Id, null), (ppo.PolicyId, ppo.RewardModelId, ppo.DatasetId, ppo.Missing));

        var best = await MadeByAsync(RunStage.Ppo, ModelKind.Policy, "ppo");
        Assert.Equal(taught.Id, (await SuggestAsync(RunStage.Ppo)).PolicyId);
        Assert.Equal(best.Id, (await SuggestAsync(RunStage.Sample)).PolicyId);
        await World.DoAsync(new Core.Features.Models.PromoteModel(Admin, taught.Id));
        Assert.Equal(taught.Id, (await SuggestAsync(RunStage.Sample)).PolicyId);
    }

    [Fact]
    public async Task Dpo_goes_from_rankings_and_the_fine_tuned_model_to_the_next_answers_without_a_reward_model()
    {
        var taught = await MadeByAsync(RunStage.Sft, ModelKind.Policy, "sft");
        await MadeByAsync(RunStage.Ppo, ModelKind.Policy, "ppo");
        var offer = await World.DoAsync(new SuggestRun(Admin, Project.Id, RunStage.Dpo));
        Assert.Equal(("DPO 1", _rankings.Id, taught.Id, null), (offer.Name, offer.DatasetId, offer.PolicyId, offer.RewardModelId));
        Assert.Equal((null, RunStage.Sample), (offer.Missing, offer.NextStage));
        Assert.Equal("0.1", offer.Hyperparameters.Single(known => known.Name == "beta").Default);
        Assert.Contains("no dataset of rankings", (await World.DoAsync(new SuggestRun(Admin, await EmptyProjectAsync(), RunStage.Dpo))).Missing, StringComparison.Ordinal);

        var id = await World.DoAsync(Start(RunStage.Dpo, _rankings, taught.Id) with { Hyperparameters = new Dictionary<string, object?> { ["beta"] = "0.3", ["lora_rank"] = 4 } });

        var details = await World.DoAsync(new GetRun(Admin, id));
        Assert.Equal((RunStage.Dpo, "0.3", "4"), (details.Run.Stage, details.Hyperparameters["beta"], details.Hyperparameters["lora_rank"]));
        var made = await AddAsync(db =>
        {
            var model = new ModelCheckpoint { Id = Guid.CreateVersion7(), ProjectId = Project.Id, Name = "dpo", Kind = ModelKind.Policy, RunId = id, ParentId = taught.Id };
            db.Models.Add(model);
            return model;
        });
        Assert.Equal(made.Id, (await World.DoAsync(new SuggestRun(Admin, Project.Id, RunStage.Sample))).PolicyId);
    }

    private async Task<Guid> EmptyProjectAsync() => (await AddAsync(db =>
    {
        var project = Seed.Project(db);
        Seed.Model(db, project);
        return project;
    })).Id;

    [Fact]
    public async Task An_empty_project_says_what_to_do_first()
    {
        var empty = (await AddAsync(db => Seed.Project(db))).Id;
        Assert.Contains("Register a base model", (await World.DoAsync(new SuggestRun(Admin, empty, RunStage.Sft))).Missing, StringComparison.Ordinal);
        await AddAsync(db => Seed.Model(db, db.Projects.Single(project => project.Id == empty)));
        Assert.Contains("no dataset of demonstrations", (await World.DoAsync(new SuggestRun(Admin, empty, RunStage.Sft))).Missing, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Time_left_comes_from_the_pace_of_the_steps_and_ignores_a_pause()
    {
        var id = await World.DoAsync(Start(RunStage.Sft, _demonstrations, _base.Id));
        var lease = (await Queue().ClaimAsync("w", CancellationToken.None))!;
        Assert.Null((await World.DoAsync(new GetRun(Admin, id))).SecondsLeft);

        var start = DateTimeOffset.UtcNow;
        var lines = Enumerable.Range(1, 20).Select(step => new RunMetricLine(step, start.AddSeconds((step * 3) + (step > 10 ? 4000 : 0)), """{"loss":1.5}""")).ToList();
        await Queue().ReportAsync(lease, new(new(20, 100, "training"), lines, null, "hello"), CancellationToken.None);

        var details = await World.DoAsync(new GetRun(Admin, id));
        Assert.Equal(240, details.SecondsLeft!.Value, 3);
        Assert.Equal(("hello", 20, 100, "training", "w", 1), (details.LogTail, details.Run.Step, details.Run.TotalSteps, details.Run.Phase, details.Worker, details.Attempt));
    }

    [Fact]
    public async Task A_chart_gets_few_points_but_every_rare_one()
    {
        var id = await World.DoAsync(Start(RunStage.Sft, _demonstrations, _base.Id));
        var lease = (await Queue().ClaimAsync("w", CancellationToken.None))!;
        var lines = Enumerable.Range(1, 1000).Select(step => new RunMetricLine(
            step, DateTimeOffset.UtcNow, step % 250 == 0 ? $$"""{"loss":{{step}},"eval/loss":0.5}""" : $$"""{"loss":{{step}}}""")).ToList();
        await Queue().ReportAsync(lease, new(null, lines, null, null), CancellationToken.None);

        var points = await World.DoAsync(new GetRunMetrics(Admin, id, MaxPoints: 50));

        var losses = points.Where(point => point.Values.ContainsKey("loss")).Select(point => point.Step).ToList();
        Assert.Equal((50, 1, 1000), (losses.Count, losses[0], losses[^1]));
        Assert.Equal([250, 500, 750, 1000], points.Where(point => point.Values.ContainsKey("eval/loss")).Select(point => point.Step));
        Assert.Equal([999, 1000], (await World.DoAsync(new GetRunMetrics(Admin, id, AfterStep: 998))).Select(point => point.Step));
    }

    [Fact]
    public async Task Runs_are_listed_newest_first_page_by_page()
    {
        var ids = new List<Guid>();
        for (var i = 0; i < 5; i++)
            ids.Add(await World.DoAsync(Start(RunStage.Sft, _demonstrations, _base.Id)));
        ids.Reverse();

        var seen = new List<Guid>();
        string? after = null;
        do
        {
            var page = await World.DoAsync(new ListRuns(Admin, Project.Id, after, 2));
            seen.AddRange(page.Items.Select(run => run.Id));
            after = page.Next;
        }
        while (after is not null);

        Assert.Equal(ids, seen);
    }

    [Fact]
    public async Task A_run_can_be_cancelled_and_tried_again()
    {
        var id = await World.DoAsync(Start(RunStage.Sft, _demonstrations, _base.Id));
        await World.DoAsync(new CancelRun(Admin, id));
        await World.DoAsync(new CancelRun(Admin, id));
        Assert.Equal(RunState.Cancelled, (await World.DoAsync(new GetRun(Admin, id))).Run.State);

        await World.DoAsync(new RetryRun(Admin, id));
        var lease = (await Queue().ClaimAsync("w", CancellationToken.None))!;
        await World.DoAsync(new CancelRun(Admin, id));
        Assert.True((await World.DoAsync(new GetRun(Admin, id))).CancelRequested);
        await Queue().CompleteAsync(lease, """{"loss":0.25}""", (_, _) => Task.CompletedTask, CancellationToken.None);

        var done = await World.DoAsync(new GetRun(Admin, id));
        Assert.Equal((RunState.Completed, 0.25), (done.Run.State, done.Result["loss"]));
        await World.RefusedAsync(new CancelRun(Admin, id), ProblemKind.Conflict);
        await World.RefusedAsync(new RetryRun(Admin, id), ProblemKind.Conflict);
        Assert.Equal(
            ["run.started", "run.cancelled", "run.retried", "run.cancelled"],
            (await World.QueryAsync(db => db.AuditEvents.Where(entry => entry.Subject == id.ToString()).OrderBy(entry => entry.At).ToListAsync())).Select(entry => entry.Action));
        await World.RefusedAsync(new CancelRun(Admin, Guid.NewGuid()), ProblemKind.NotFound);
        await World.RefusedAsync(new GetRun(Admin, Guid.NewGuid()), ProblemKind.NotFound);
    }
}
