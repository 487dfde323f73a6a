using System.Diagnostics;
using Labeling.Training.Runs;
using Spectre.Console;

namespace Labeling.Training.Cli;

/// <summary>What a person sees: a progress line with speed and time left on a terminal, plain lines now and then elsewhere.</summary>
internal sealed class Terminal : IDisposable
{
    private const string Done = "done";
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(10);

    private readonly bool interactive = AnsiConsole.Profile.Capabilities.Interactive && !Console.IsOutputRedirected;
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private readonly Lock gate = new();
    private readonly Queue<string> lines = new();
    private readonly List<string> errors = [];
    private readonly ManualResetEvent ended = new(false);
    private readonly Thread? display;
    private RunProgress now = new(0, 0, "starting");
    private (int Step, TimeSpan At)? speedFrom;
    private TimeSpan plainAt = TimeSpan.Zero;

    public Terminal()
    {
        if (!interactive)
        {
            return;
        }
        display = new Thread(Show) { IsBackground = true, Name = "progress" };
        display.Start();
    }

    public void Log(string line)
    {
        if (interactive)
        {
            lock (gate)
            {
                lines.Enqueue(line);
            }
        }
        else
        {
            Console.Out.WriteLine(line);
        }
    }

    /// <summary>Goes to standard error; on a terminal not before the progress line has gone, which would write over it.</summary>
    public void Error(string message)
    {
        if (interactive)
        {
            errors.Add(message);
        }
        else
        {
            Console.Error.WriteLine(message);
        }
    }

    public void Progress(RunProgress progress)
    {
        lock (gate)
        {
            now = progress;
            speedFrom ??= progress.Phase is "training" or "sampling" ? (progress.Step, clock.Elapsed) : null;
            // The last line is written in any case, in the end.
            if (interactive || progress.Phase == Done || clock.Elapsed - plainAt < PlainInterval)
            {
                return;
            }
            plainAt = clock.Elapsed;
        }
        Console.Out.WriteLine(Line());
    }

    private void Show() => AnsiConsole.Status().AutoRefresh(true).Start("starting", status =>
    {
        var last = false;
        while (!last)
        {
            last = ended.WaitOne(TimeSpan.FromMilliseconds(100));
            while (Next() is { } line)
            {
                AnsiConsole.WriteLine(line);
            }
            status.Status(Markup.Escape(Line()));
        }
    });

    public void Dispose()
    {
        ended.Set();
        display?.Join();
        ended.Dispose();
        if (now.Phase == Done)
        {
            Console.Out.WriteLine(Line());
        }
        foreach (var error in errors)
        {
            Console.Error.WriteLine(error);
        }
        Console.Out.Flush();
    }

    private string? Next()
    {
        lock (gate)
        {
            return lines.TryDequeue(out var line) ? line : null;
        }
    }

    private string Line()
    {
        lock (gate)
        {
            var line = now.TotalSteps > 0 ? $"{now.Phase} {now.Step}/{now.TotalSteps}" : now.Phase;
            if (speedFrom is not { } from || now.Step <= from.Step || now.Step >= now.TotalSteps)
            {
                return line;
            }
            var perStep = (clock.Elapsed - from.At) / (now.Step - from.Step);
            var left = perStep * (now.TotalSteps - now.Step);
            return FormattableString.Invariant($"{line}, {1 / perStep.TotalSeconds:F1} steps/s, {(int)left.TotalHours}:{left:mm\\:ss} left");
        }
    }
}
