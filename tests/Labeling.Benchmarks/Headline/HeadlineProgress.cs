using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Labeling.Benchmarks.Headline;

/// <summary>How far the steps are: a line as each begins and ends and now and then between, and how long each took over all starts.</summary>
internal sealed class HeadlineProgress(IReadOnlyList<HeadlineStep> steps, string root)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(20);

    private readonly Lock _gate = new();
    private readonly Stopwatch _session = Stopwatch.StartNew();
    private int _at;
    private double _earlierSeconds;
    private Stopwatch _step = new();
    private TimeSpan _said;
    private (double Minutes, TimeSpan At)? _from;

    /// <summary>Seconds of a step over all starts.</summary>
    public double Seconds(string step) => File.Exists(SecondsFile(step)) ? double.Parse(File.ReadAllText(SecondsFile(step)), CultureInfo.InvariantCulture) : 0;

    public void Begin(int step)
    {
        lock (_gate)
        {
            _at = step;
            _earlierSeconds = Seconds(steps[step].Name);
            _step = Stopwatch.StartNew();
            _said = _session.Elapsed;
            Console.WriteLine($"{Title} begins");
        }
    }

    /// <summary>Called whenever the trainer says something.</summary>
    public void Look()
    {
        lock (_gate)
        {
            Keep();
            if (Fraction() is not { } fraction)
                return;
            double done = steps.Take(_at).Sum(s => s.Minutes) + (fraction * steps[_at].Minutes), all = steps.Sum(s => s.Minutes);
            _from ??= (done, _session.Elapsed);
            if (_session.Elapsed - _said < Interval)
                return;
            _said = _session.Elapsed;
            // What this machine needs for what should take a minute; unknown until something is done.
            double pace = done > _from.Value.Minutes ? (_session.Elapsed - _from.Value.At).TotalMinutes / (done - _from.Value.Minutes) : 1;
            TimeSpan left = TimeSpan.FromMinutes(pace * (all - done));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Title}: {fraction:P0} of this step, {done / all:P0} of everything, about {(int)left.TotalHours}:{left:mm\\:ss} left"));
        }
    }

    public void End()
    {
        lock (_gate)
        {
            Keep();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Title} done in {Seconds(steps[_at].Name):0} s"));
        }
    }

    public void Found(int step)
    {
        lock (_gate)
        {
            _at = step;
            Console.WriteLine($"{Title} was done before");
        }
    }

    private string Title => $"[{_at + 1}/{steps.Count}] {steps[_at].Name}";

    private string SecondsFile(string step) => Path.Combine(root, step, "seconds");

    private void Keep()
    {
        string file = SecondsFile(steps[_at].Name);
        File.WriteAllText(file + ".new", (_earlierSeconds + _step.Elapsed.TotalSeconds).ToString(CultureInfo.InvariantCulture));
        File.Move(file + ".new", file, overwrite: true);
    }

    private double? Fraction()
    {
        string file = Path.Combine(root, steps[_at].Name, "progress.json");
        if (!File.Exists(file))
            return null;
        // The trainer must be able to replace the file while it is open here.
        using FileStream open = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using JsonDocument progress = JsonDocument.Parse(open);
        double total = progress.RootElement.GetProperty("total_steps").GetDouble();
        return total > 0 ? progress.RootElement.GetProperty("step").GetDouble() / total : null;
    }
}
