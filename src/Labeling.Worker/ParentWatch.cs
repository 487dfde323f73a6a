using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Labeling.Worker;

/// <summary>Stops the worker when the process that started it is gone, also when that one was killed without a word.</summary>
internal sealed class ParentWatch(WorkerOptions options, IHostApplicationLifetime lifetime, ILogger<ParentWatch> log) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.ParentPid is not { } parent) return;
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1));
        while (Signals.IsAlive(parent))
        {
            if (!await timer.WaitForNextTickAsync(stoppingToken)) return;
        }
        log.LogWarning("The process {Parent} that started this worker is gone; stopping.", parent);
        lifetime.StopApplication();
    }
}
