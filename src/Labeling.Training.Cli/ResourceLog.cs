using System.Text.Json;
using Labeling.Training.Runs;
using TorchSharp;

namespace Labeling.Training.Cli;

/// <summary>
/// What the process holds after each step, as JSON lines: step, time, resident_mb (all of it, in MiB), managed_mb (the share of .NET's heap) and live_tensors. Shows what
/// grows in a long run. To be told of progress by the training thread, whose tensors it counts.
/// </summary>
/// <exception cref="BadInputException">The file cannot be written.</exception>
internal sealed class ResourceLog(string path) : IDisposable
{
    private const double Mebibyte = 1 << 20;

    private readonly StreamWriter writer = Open(path);
    private int last;

    public void After(RunProgress progress)
    {
        if (progress.Step <= last)
        {
            return;
        }
        last = progress.Step;
        writer.WriteLine(JsonSerializer.Serialize(new
        {
            step = last,
            time = DateTime.UtcNow,
            resident_mb = Environment.WorkingSet / Mebibyte,
            managed_mb = GC.GetGCMemoryInfo().TotalCommittedBytes / Mebibyte,
            live_tensors = DisposeScopeManager.Statistics.ThreadTotalLiveCount,
        }));
    }

    public void Dispose() => writer.Dispose();

    private static StreamWriter Open(string path)
    {
        try
        {
            return new StreamWriter(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"--resources: {e.Message} Name a file that can be written.", e);
        }
    }
}
