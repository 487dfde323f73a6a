using Labeling.Core.Features.Datasets;
using Labeling.Core.Features.Models;
using Labeling.Core.Features.Projects;
using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;

namespace Labeling.Web.Components.Pages.Admin.Projects;

internal enum LoopStepState { Done, Running, Next, Later }

/// <summary>One step of the loop from prompts to a better model: how far it is, and where to go for it.</summary>
internal sealed record LoopStep(string Title, string Detail, LoopStepState State, string Href, string Action)
{
    /// <summary>The whole loop. A step that is under way or next is the first one that is not done; what comes after it waits.</summary>
    public static IReadOnlyList<LoopStep> Of(
        ProjectDetails project, IReadOnlyList<DatasetItemView> datasets, IReadOnlyList<ModelItem> models, IReadOnlyList<RunItem> runs)
    {
        var root = $"/admin/projects/{project.Id}";
        var counts = project.Counts;
        var demonstrations = datasets.Count(d => d.Kind == DatasetKind.Demonstrations);
        var rankings = datasets.Count(d => d.Kind == DatasetKind.Rankings);
        var sampled = counts.OpenRankingTasks + counts.Rankings;

        var steps = new List<LoopStep>
        {
            new("Import prompts", Words.Count(counts.Prompts, "prompt"), Is(counts.Prompts > 0), $"{root}/prompts/import", "Import prompts"),
            counts is { OpenDemonstrationTasks: 0, Demonstrations: 0 }
                ? new("Write demonstrations", "Nobody is asked yet", LoopStepState.Next, $"{root}/prompts", "Ask for demonstrations")
                : new("Write demonstrations", $"{Words.Number(counts.Demonstrations)} written, {Words.Number(counts.OpenDemonstrationTasks)} open", Is(counts.Demonstrations > 0), "/", "Write some"),
            new("Freeze the demonstrations", Words.Count(demonstrations, "dataset"), Is(demonstrations > 0), $"{root}/datasets/new?kind=demonstrations", "Freeze a dataset"),
            Run(RunStage.Sft, "Fine-tune on them", "Start fine-tuning"),
            new("Sample answers", $"{Words.Count(sampled, "ranking task")} made", OfRun(RunStage.Sample, sampled > 0), $"{root}/runs/new?stage=sample", "Start sampling"),
            new("Rank the answers", $"{Words.Number(counts.Rankings)} ranked, {Words.Number(counts.OpenRankingTasks)} open", Is(counts.Rankings > 0), "/", "Rank some"),
            new("Freeze the rankings", Words.Count(rankings, "dataset"), Is(rankings > 0), $"{root}/datasets/new?kind=rankings", "Freeze a dataset"),
            Run(RunStage.Reward, "Train a reward model", "Start training"),
            Run(RunStage.Ppo, "Improve the policy with PPO", "Start PPO"),
        };

        var next = steps.FindIndex(s => s.State != LoopStepState.Done);
        return [.. steps.Select((s, i) => s.State == LoopStepState.Next && i > next ? s with { State = LoopStepState.Later } : s)];

        LoopStep Run(RunStage stage, string title, string action)
        {
            var made = models.Count(m => m.Stage == stage);
            var active = runs.FirstOrDefault(r => r.Stage == stage && !r.State.IsFinal());
            return active is null
                ? new(title, Words.Count(made, "model"), Is(made > 0), $"{root}/runs/new?stage={stage.ToString().ToLowerInvariant()}", action)
                : new(title, active.State.Name(), OfRun(stage, made > 0), $"{root}/runs/{active.Id}", "Watch it");
        }

        LoopStepState OfRun(RunStage stage, bool done) => runs.Any(r => r.Stage == stage && !r.State.IsFinal()) ? LoopStepState.Running : Is(done);
    }

    private static LoopStepState Is(bool done) => done ? LoopStepState.Done : LoopStepState.Next;
}
