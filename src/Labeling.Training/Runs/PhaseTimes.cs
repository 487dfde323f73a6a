using System.Diagnostics;

namespace Labeling.Training.Runs;

/// <summary>
/// Where the wall-clock time of a step goes. Every moment since the report before belongs to exactly one phase, so the phases of a step
/// add up to it; what no phase claims (files, checkpoints) is "other".
/// </summary>
internal sealed class PhaseTimes
{
    private readonly Dictionary<string, double> seconds = [];
    private long last = Stopwatch.GetTimestamp();

    /// <summary>Everything since the last mark was this phase.</summary>
    public void Mark(string phase = "other")
    {
        var now = Stopwatch.GetTimestamp();
        seconds[phase] = seconds.GetValueOrDefault(phase) + Stopwatch.GetElapsedTime(last, now).TotalSeconds;
        last = now;
    }

    /// <summary>Adds "timing/" of every phase and of the whole "step", in seconds, and begins anew.</summary>
    public void Report(Dictionary<string, double> metrics)
    {
        Mark();
        foreach (var (phase, time) in seconds)
        {
            metrics["timing/" + phase] = time;
        }
        metrics["timing/step"] = seconds.Values.Sum();
        seconds.Clear();
    }
}
