using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;

namespace Labeling.Web.Components.Pages.Admin.Runs.Charts;

public sealed record ChartPoint(int Step, double Value);

public sealed record ChartLine(string Name, IReadOnlyList<ChartPoint> Points);

public sealed record Chart(string Title, IReadOnlyList<ChartLine> Lines);

/// <summary>Sorts metrics into charts: what belongs on one axis together, the telling ones of a stage first.</summary>
internal static class ChartData
{
    public static (IReadOnlyList<Chart> First, IReadOnlyList<Chart> More) Of(RunStage stage, IReadOnlyList<MetricPoint> points)
    {
        var lines = points
            .SelectMany(p => p.Values.Select(v => (v.Key, Point: new ChartPoint(p.Step, v.Value))))
            .Where(v => double.IsFinite(v.Point.Value))
            .GroupBy(v => v.Key, v => v.Point)
            .ToDictionary(g => g.Key, g => new ChartLine(g.Key, [.. g.OrderBy(p => p.Step)]));

        var first = new List<Chart>();
        foreach (var (title, names) in Telling(stage))
        {
            var found = names.Where(lines.ContainsKey).Select(n => lines[n]).ToList();
            if (found.Count > 0)
            {
                first.Add(new Chart(title, found));
            }

            foreach (var line in found)
            {
                lines.Remove(line.Name);
            }
        }

        // A metric and its evaluation belong together; everything else stands alone.
        var more = lines.Values
            .GroupBy(l => l.Name.StartsWith("eval/", StringComparison.Ordinal) ? l.Name["eval/".Length..] : l.Name)
            .OrderBy(g => g.Key, StringComparer.Ordinal)
            .Select(g => new Chart(g.Key, [.. g.OrderBy(l => l.Name.Length)]))
            .ToList();
        return (first, more);
    }

    private static (string Title, string[] Names)[] Telling(RunStage stage) =>
        stage switch
        {
            RunStage.Sft =>
            [
                ("Loss", ["loss", "eval/loss"]),
                ("Accuracy of the next token", ["mean_token_accuracy", "eval/mean_token_accuracy"]),
            ],
            RunStage.Reward =>
            [
                ("Loss", ["loss", "eval/loss"]),
                ("Accuracy: pairs put in the order people chose", ["accuracy", "eval/accuracy"]),
                ("Margin between better and worse", ["margin", "eval/margin"]),
                ("Reward", ["min_reward", "mean_reward", "max_reward"]),
            ],
            RunStage.Ppo =>
            [
                ("Reward", ["objective/scores", "objective/rlhf_reward"]),
                ("KL from the reference policy", ["objective/kl"]),
                ("Entropy", ["objective/entropy", "policy/entropy_avg"]),
                ("Loss", ["loss/policy_avg", "loss/value_avg"]),
            ],
            RunStage.Dpo =>
            [
                ("Loss", ["loss", "eval/loss"]),
                ("Accuracy: pairs put in the order people chose", ["rewards/accuracies", "eval/rewards/accuracies"]),
                ("Margin between better and worse", ["rewards/margins", "eval/rewards/margins"]),
                ("Reward against the model it started from", ["rewards/chosen", "rewards/rejected"]),
            ],
            _ => [],
        };
}
