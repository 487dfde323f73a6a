using System.Diagnostics;
using Spectre.Console;

namespace Labeling.AppHost.Demo;

/// <summary>Where the demo is: bars in a terminal, a line at each stage's end elsewhere.</summary>
internal sealed class DemoProgress(Screen screen)
{
    private readonly Dictionary<string, ProgressTask> _bars = [];
    private readonly Stopwatch _stage = new();
    private ProgressContext? _context;

    public async Task<T> WatchAsync<T>(Func<Task<T>> work)
    {
        if (Console.IsOutputRedirected || !AnsiConsole.Profile.Capabilities.Interactive)
            return await work();
        return await AnsiConsole.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
            .StartAsync(async context =>
            {
                _context = context;
                return await work();
            });
    }

    public void Begin(string stage)
    {
        _stage.Restart();
        if (_context is not null)
            _bars[stage] = _context.AddTask(stage, maxValue: 1);
    }

    public void Show(string stage, int done, int of)
    {
        if (of > 0 && _bars.TryGetValue(stage, out ProgressTask? bar))
            bar.Value = Math.Min(1, (double)done / of);
    }

    public void End(string stage)
    {
        if (_bars.TryGetValue(stage, out ProgressTask? bar))
        {
            bar.Value = 1;
            bar.StopTask();
        }
        else
            screen.Line($"  {stage,-22} done in {_stage.Elapsed.TotalSeconds,6:F1} s");
    }
}
