using System.Diagnostics;
using System.Text.Json;

namespace Labeling.Core.Runs;

/// <summary>
/// A trainer holds run.lock in its folder as long as it lives, and writes its process id to run.pid. One that outlived its starter is ended before a new one starts,
/// so that a folder never has two writers.
/// </summary>
public static class OrphanedTrainer
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <exception cref="IOException">Somebody holds the folder and cannot be ended from here.</exception>
    public static async Task EndAsync(string folder, Action<string> log, CancellationToken cancel)
    {
        for (var waited = Stopwatch.StartNew(); IsHeld(folder);)
        {
            if (Holder(folder) is { } holder)
            {
                log($"Ending the trainer {holder.Id}, which outlived its starter, in {folder}.");
                using (holder)
                    holder.Kill();
            }
            if (waited.Elapsed > Patience)
                throw new IOException($"Another trainer is still at work in {folder} and could not be ended. Is it on another machine?");
            await Task.Delay(Pause, cancel);
        }
    }

    private static bool IsHeld(string folder)
    {
        var path = Path.Combine(folder, "run.lock");
        if (!File.Exists(path)) return false;
        try
        {
            using var taken = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    /// <summary>The process that run.pid names, if it is still the same one: a process id comes back for another program one day.</summary>
    private static Process? Holder(string folder)
    {
        try
        {
            using var file = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "run.pid")));
            if (file.RootElement.GetProperty("machine").GetString() != Environment.MachineName) return null;
            var process = Process.GetProcessById(file.RootElement.GetProperty("pid").GetInt32());
            if ((process.StartTime.ToUniversalTime() - file.RootElement.GetProperty("started").GetDateTime().ToUniversalTime()).Duration() < TimeSpan.FromSeconds(2)) return process;
            process.Dispose();
            return null;
        }
        catch (Exception error) when (error is IOException or JsonException or KeyNotFoundException or ArgumentException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }
}
