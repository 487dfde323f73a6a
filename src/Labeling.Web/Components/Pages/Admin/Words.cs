using System.Globalization;
using Labeling.Core.Model;

namespace Labeling.Web.Components.Pages.Admin;

/// <summary>How the admin pages say things: names of stages and states, sizes, times, figures.</summary>
internal static class Words
{
    public static string Name(this RunStage stage) =>
        stage switch
        {
            RunStage.Sft => "Supervised fine-tuning",
            RunStage.Sample => "Sampling",
            RunStage.Reward => "Reward model",
            RunStage.Ppo => "PPO",
            RunStage.Dpo => "DPO",
            _ => stage.ToString(),
        };

    public static string Short(this RunStage stage) =>
        stage switch
        {
            RunStage.Sft => "SFT",
            RunStage.Sample => "Sample",
            RunStage.Reward => "Reward",
            RunStage.Ppo => "PPO",
            RunStage.Dpo => "DPO",
            _ => stage.ToString(),
        };

    public static string Explanation(this RunStage stage) =>
        stage switch
        {
            RunStage.Sft => "The model learns to answer as people did in the demonstrations.",
            RunStage.Sample => "Models answer prompts, several answers each, for people to rank.",
            RunStage.Reward => "A model learns from the rankings which of two answers people prefer.",
            RunStage.Ppo => "The model practises on prompts; the reward model says how well it did.",
            RunStage.Dpo => "The model learns from the rankings themselves: no reward model, no practice.",
            _ => "",
        };

    /// <summary>The figures that say how a run of the stage went, the most telling first. A model from outside has none of its own.</summary>
    public static string[] TellingFigures(RunStage? stage) =>
        stage switch
        {
            RunStage.Sft => ["eval/loss", "eval/mean_token_accuracy", "loss", "mean_token_accuracy", "seconds"],
            RunStage.Sample => ["num_answers", "completions/mean_length", "completions/clipped_ratio", "seconds"],
            RunStage.Reward => ["eval/accuracy", "accuracy", "eval/loss", "margin", "loss", "seconds"],
            RunStage.Ppo => ["objective/scores", "objective/rlhf_reward", "objective/kl", "completions/mean_length", "seconds"],
            RunStage.Dpo => ["eval/rewards/accuracies", "rewards/accuracies", "eval/loss", "rewards/margins", "loss", "seconds"],
            _ => ["eval/loss", "loss"],
        };

    public static string Name(this RunState state) =>
        state switch
        {
            RunState.Available => "Waiting",
            RunState.Running => "Running",
            RunState.Retryable => "Trying again",
            RunState.Completed => "Done",
            RunState.Failed => "Failed",
            RunState.Cancelled => "Cancelled",
            _ => state.ToString(),
        };

    public static string Look(this RunState state) =>
        state switch
        {
            RunState.Running => "accent",
            RunState.Retryable => "warn",
            RunState.Completed => "good",
            RunState.Failed => "bad",
            _ => "",
        };

    public static bool IsFinal(this RunState state) => state is RunState.Completed or RunState.Failed or RunState.Cancelled;

    public static string Name(this DatasetKind kind) => kind.ToString();

    public static string Name(this Split split) =>
        split switch
        {
            Split.Train => "Training",
            Split.Valid => "Validation",
            Split.Test => "Test",
            _ => split.ToString(),
        };

    public static string Name(this ModelKind kind) => kind == ModelKind.Reward ? "Reward model" : "Policy";

    public static IEnumerable<Roles> Each(this Roles roles) => Enum.GetValues<Roles>().Where(r => r != Roles.None && roles.HasFlag(r));

    public static string Count(int count, string one, string? many = null) =>
        $"{count.ToString("N0", CultureInfo.InvariantCulture)} {(count == 1 ? one : many ?? one + "s")}";

    public static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    public static string Bytes(long bytes)
    {
        string[] units = ["B", "KB", "MB", "GB", "TB"];
        var value = (double)bytes;
        var unit = 0;
        while (value >= 1000 && unit < units.Length - 1)
        {
            value /= 1000;
            unit++;
        }

        return $"{value.ToString(unit == 0 || value >= 100 ? "0" : "0.#", CultureInfo.InvariantCulture)} {units[unit]}";
    }

    public static string Duration(double seconds)
    {
        var time = TimeSpan.FromSeconds(Math.Max(0, seconds));
        return time switch
        {
            { TotalSeconds: < 60 } => $"{(int)time.TotalSeconds} s",
            { TotalMinutes: < 60 } => $"{(int)time.TotalMinutes} min {time.Seconds} s",
            { TotalHours: < 48 } => $"{(int)time.TotalHours} h {time.Minutes} min",
            _ => $"{(int)time.TotalDays} days {time.Hours} h",
        };
    }

    /// <summary>Four significant digits, without an exponent where people read numbers every day.</summary>
    public static string Figure(double value) =>
        value == 0 ? "0"
        : Math.Abs(value) is >= 1e6 or < 1e-4 ? value.ToString("0.###e+0", CultureInfo.InvariantCulture)
        : Math.Abs(value) >= 1000 ? value.ToString("N0", CultureInfo.InvariantCulture)
        : value.ToString("G4", CultureInfo.InvariantCulture);

    public static string ShortHash(string sha256) => sha256.Length > 12 ? sha256[..12] : sha256;
}
