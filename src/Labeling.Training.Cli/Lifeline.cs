using System.Diagnostics;

namespace Labeling.Training.Cli;

/// <summary>
/// Ends the run with its starter. A program that starts the trainer for somebody else sets LABELING_TRAIN_LIFELINE=stdin and keeps the trainer's standard input open:
/// the system closes it when that program dies, even when it was killed, and the run stops with a checkpoint as if asked to. Started by hand, the trainer does not look.
/// </summary>
internal static class Lifeline
{
    /// <summary>How long the current step and its checkpoint may take before the process ends regardless; the checkpoint before it stands.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(15);

    public static void Hold(CancellationTokenSource stop)
    {
        if (Environment.GetEnvironmentVariable("LABELING_TRAIN_LIFELINE") != "stdin")
        {
            return;
        }
        // A background thread: it does not keep a finished run alive.
        new Thread(() => Watch(stop)) { IsBackground = true, Name = "lifeline" }.Start();
    }

    private static void Watch(CancellationTokenSource stop)
    {
        using var input = Console.OpenStandardInput();
        var ignored = new byte[256];
        while (input.Read(ignored) > 0)
        {
        }
        try
        {
            stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            return; // The run ended in the same moment.
        }
        Thread.Sleep(Grace);
        using var self = Process.GetCurrentProcess();
        self.Kill();
    }
}
