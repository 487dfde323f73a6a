using Labeling.Core.Features.Datasets;
using Labeling.Core.Features.Models;
using Labeling.Core.Features.Projects;
using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;
using Labeling.Web.Components.Pages.Admin.Projects;

namespace Labeling.Web.Tests.Admin;

public sealed class LoopStepTests
{
    private static readonly ProjectCounts Empty = new(0, 0, 0, 0, 0, 0, 0, 0);

    [Fact]
    public void An_empty_project_begins_with_prompts()
    {
        var steps = Steps(Empty);
        Assert.Equal(9, steps.Count);
        Assert.Equal("Import prompts", steps[0].Title);
        Assert.Equal([LoopStepState.Next, .. Enumerable.Repeat(LoopStepState.Later, 8)], steps.Select(s => s.State));
    }

    [Fact]
    public void With_prompts_and_no_tasks_people_have_to_be_asked()
    {
        var next = Next(Steps(Empty with { Prompts = 10 }));
        Assert.Equal(("Write demonstrations", "Ask for demonstrations"), (next.Title, next.Action));
        Assert.EndsWith("/prompts", next.Href);
    }

    [Fact]
    public void Each_thing_that_exists_moves_the_next_step_on()
    {
        var asked = Empty with { Prompts = 10, OpenDemonstrationTasks = 10 };
        Assert.Equal("/", Next(Steps(asked)).Href);

        var written = asked with { Demonstrations = 4 };
        Assert.Equal("Freeze the demonstrations", Next(Steps(written)).Title);
        Assert.Contains("stage=sft", Next(Steps(written, [Dataset(DatasetKind.Demonstrations)])).Href);
        Assert.Contains("stage=sample", Next(Steps(written, [Dataset(DatasetKind.Demonstrations)], [Model(RunStage.Sft)])).Href);

        var sampled = written with { OpenRankingTasks = 5 };
        IReadOnlyList<DatasetItemView> both = [Dataset(DatasetKind.Demonstrations), Dataset(DatasetKind.Rankings)];
        Assert.Equal("Rank the answers", Next(Steps(sampled, [both[0]], [Model(RunStage.Sft)])).Title);
        var ranked = sampled with { Rankings = 3 };
        Assert.Equal("Freeze the rankings", Next(Steps(ranked, [both[0]], [Model(RunStage.Sft)])).Title);
        Assert.Contains("stage=reward", Next(Steps(ranked, both, [Model(RunStage.Sft)])).Href);
        Assert.Contains("stage=ppo", Next(Steps(ranked, both, [Model(RunStage.Sft), Model(RunStage.Reward)])).Href);
        Assert.DoesNotContain(Steps(ranked, both, [Model(RunStage.Sft), Model(RunStage.Reward), Model(RunStage.Ppo)]), s => s.State != LoopStepState.Done);
    }

    [Fact]
    public void A_run_under_way_is_shown_in_place_of_a_new_one()
    {
        var id = Guid.CreateVersion7();
        var steps = Steps(
            Empty with { Prompts = 1, Demonstrations = 1 }, [Dataset(DatasetKind.Demonstrations)], [],
            [new RunItem(id, "r", RunStage.Sft, RunState.Running, 1, 2, null, DateTimeOffset.UnixEpoch, null, null, null, null)]);
        Assert.Equal((LoopStepState.Running, "Watch it"), (steps[3].State, steps[3].Action));
        Assert.EndsWith($"/runs/{id}", steps[3].Href);
        Assert.DoesNotContain(steps, s => s.State == LoopStepState.Next);
    }

    private static LoopStep Next(IReadOnlyList<LoopStep> steps) => Assert.Single(steps, s => s.State == LoopStepState.Next);

    private static IReadOnlyList<LoopStep> Steps(
        ProjectCounts counts, IReadOnlyList<DatasetItemView>? datasets = null, IReadOnlyList<ModelItem>? models = null, IReadOnlyList<RunItem>? runs = null) =>
        LoopStep.Of(new ProjectDetails(Guid.NewGuid(), "p", "", new(), 1, "", counts, DateTimeOffset.UnixEpoch), datasets ?? [], models ?? [], runs ?? []);

    private static DatasetItemView Dataset(DatasetKind kind) => new(Guid.NewGuid(), 1, "d", kind, 1, "", [], 1, DateTimeOffset.UnixEpoch, null);

    private static ModelItem Model(RunStage stage) => new(Guid.NewGuid(), "m", ModelKind.Policy, stage, null, null, null, 1, DateTimeOffset.UnixEpoch, null, new Dictionary<string, double>());
}
