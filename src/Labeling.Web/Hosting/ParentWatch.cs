using System.Diagnostics;

namespace Labeling.Web.Hosting;

/// <summary>Stops the site when the program that started it is gone (Labeling:ParentPid), so that a killed host leaves nothing behind.</summary>
public sealed class ParentWatch(int parentPid, IHostApplicationLifetime lifetime, ILogger<ParentWatch> log) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            // Stopping a host that is still starting ends in an error instead of an end.
            var started = new TaskCompletionSource();
            await using var registration = lifetime.ApplicationStarted.Register(started.SetResult);
            await started.Task.WaitAsync(stoppingToken);
            using var parent = Process.GetProcessById(parentPid);
            await parent.WaitForExitAsync(stoppingToken);
        }
        catch (ArgumentException)
        {
            // Gone already.
        }
        catch (OperationCanceledException)
        {
            return;
        }

        log.LogWarning("The program that started the site (process {Pid}) is gone. Stopping.", parentPid);
        lifetime.StopApplication();
    }
}
