using System.Text.Json;
using Labeling.AppHost.Demo;
using Labeling.AppHost.Starter;
using Labeling.Training.Models;
using Labeling.Training.Sampling;

namespace Labeling.Benchmarks.Headline;

/// <summary>A model on the held-out prompts: its mean hidden utility (of at most <see cref="Quality.Best"/>), and the form and correctness (0 to 1) that it is made of.</summary>
internal sealed record ModelFigures(long Parameters, double Utility, double Form, double Correctness, double? BitsPerByte);

/// <summary>What came out.</summary>
/// <param name="Ratio">Parameters of the large model over those of the small one.</param>
/// <param name="WinRates">How often the first model's answer has the higher hidden utility, a tie counted as half.</param>
/// <param name="RewardAccuracy">Share of validation comparisons that the reward model orders as the person did.</param>
/// <param name="Kl">Divergence of the PPO policy from the SFT policy in its last batch, nats per answer.</param>
/// <param name="Seconds">Time by step, over all starts.</param>
internal sealed record HeadlineResult(
    HeadlinePlan Plan, double Ratio, IReadOnlyDictionary<string, ModelFigures> Models, IReadOnlyDictionary<string, Interval> WinRates,
    double RewardAccuracy, double Kl, IReadOnlyDictionary<string, double> Seconds)
{
    private const string PromptedBase = "large-base, prompted";

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    /// <summary>Judges all answers by the hidden quality, without noise, when every step is finished.</summary>
    public static HeadlineResult Judge(HeadlinePlan plan, string root, HeadlineSteps steps, IReadOnlyDictionary<string, double> seconds)
    {
        Dictionary<string, WorldTask> tasks = new HeadlineRows(plan).HeldOut.ToDictionary(t => t.Prompt);
        Dictionary<string, Dictionary<string, SampledAnswer>> answers = steps.SampledBy(HeadlineSteps.Comparison).Concat(steps.SampledBy(HeadlineSteps.Prompted).Select(a => a with { ModelId = PromptedBase }))
            .GroupBy(a => a.ModelId).ToDictionary(g => g.Key, g => g.ToDictionary(a => a.PromptId));
        double Utility(string model, string prompt) => Quality.Utility(tasks[prompt], answers[model][prompt].Completion);
        Interval Wins(string first, string second) => Comparisons.WinRate(tasks.Keys.Select(p => (Utility(second, p).CompareTo(Utility(first, p)), 0)));
        ModelFigures Figures(string model)
        {
            string step = model == PromptedBase ? HeadlineSteps.LargeBase : model;
            return new ModelFigures(
                ParametersOf(Path.Combine(root, step, "output")), tasks.Keys.Average(p => Utility(model, p)), answers[model].Values.Average(a => Quality.Style(a.Completion)),
                answers[model].Values.Average(a => Quality.Correctness(tasks[a.PromptId], a.Completion)),
                Metrics(step).TryGetValue("eval/bits_per_byte", out double bits) ? bits : null);
        }
        IReadOnlyDictionary<string, double> Metrics(string step) => TrainerRun.Result(Path.Combine(root, step))!;

        Dictionary<string, ModelFigures> models = answers.Keys.ToDictionary(m => m, Figures);
        (string, string)[] pairs =
        [
            (HeadlineSteps.Ppo, HeadlineSteps.LargeBase), (HeadlineSteps.Sft, HeadlineSteps.LargeBase), (HeadlineSteps.Ppo, PromptedBase), (HeadlineSteps.Sft, PromptedBase),
            (HeadlineSteps.Ppo, HeadlineSteps.Sft), (HeadlineSteps.LargeBase, HeadlineSteps.SmallBase),
        ];
        return new HeadlineResult(
            plan, (double)models[HeadlineSteps.LargeBase].Parameters / models[HeadlineSteps.Ppo].Parameters, models, pairs.ToDictionary(p => $"{p.Item1} over {p.Item2}", p => Wins(p.Item1, p.Item2)),
            Metrics(HeadlineSteps.Reward)["eval/accuracy"], Metrics(HeadlineSteps.Ppo)["objective/kl"], seconds);
    }

    public string ToJson() => JsonSerializer.Serialize(this, Json);

    public IEnumerable<Measurement> Measurements()
    {
        foreach ((string step, double seconds) in Seconds)
            yield return new($"time of {step}", seconds * 1000, seconds / 60, "minutes");
        foreach ((string model, ModelFigures f) in Models)
            yield return new($"hidden quality of {model}", null, f.Utility, $"of {Quality.Best}", f.Utility / Quality.Best,
                FormattableString.Invariant($"form {f.Form:0.00}, correctness {f.Correctness:0.00}, {f.Parameters:N0} parameters") + (f.BitsPerByte is { } bits ? FormattableString.Invariant($", {bits:0.000} bits per byte") : ""));
        yield return new("reward model on held-out labels", null, 100 * RewardAccuracy, "% right");
        yield return new("KL of ppo from sft", null, Kl, "nats");
        yield return new("large-base against ppo, parameters", null, Ratio, "times");
        foreach ((string pair, Interval wins) in WinRates)
            yield return new(pair, null, 100 * wins.Value, "% of prompts", Limit: FormattableString.Invariant($"95 % interval {100 * wins.Low:0.0} to {100 * wins.High:0.0}, {wins.N} prompts"));
    }

    private static long ParametersOf(string folder)
    {
        using CausalLm model = CausalLm.Load(folder);
        return model.ParameterCount;
    }
}
