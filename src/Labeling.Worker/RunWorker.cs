using Labeling.Core.Runs;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Labeling.Worker;

/// <summary>
/// Claims and carries out one run after the other, and looks after the runs of workers that have gone silent. A database that is away only makes it wait.
/// </summary>
internal sealed class RunWorker(RunQueue queue, RunSignals signals, RunExecutor executor, WorkerOptions options, ILogger<RunWorker> log) : BackgroundService
{
    private readonly SemaphoreSlim _news = new(0, 1);
    private volatile RunLease? _current;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        log.LogInformation("Worker {Name} takes runs; trainer: {Trainer}", options.Name, string.Join(' ', options.Trainer));
        signals.RunQueued += Wake;
        await Task.WhenAll(signals.ListenAsync(stoppingToken), RescueAsync(stoppingToken), WorkAsync(stoppingToken));
    }

    private async Task WorkAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            // Not given up halfway: a claim whose answer nobody hears would cost the run an attempt.
            if (await TryAsync(() => queue.ClaimAsync(options.Name, CancellationToken.None), stop) is { } lease)
            {
                _current = lease;
                await executor.ExecuteAsync(lease, stop);
                _current = null;
            }
            else
            {
                await ((Task)_news.WaitAsync(queue.Options.Poll, stop)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task RescueAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var rescued = await TryAsync(async () => (int?)await queue.RescueAsync(_current is { } mine ? [mine.RunId] : [], stop), stop) ?? 0;
            if (rescued > 0)
            {
                log.LogWarning("Took {Count} run(s) from workers that stopped answering.", rescued);
                Wake();
            }
            await Task.Delay(queue.Options.Heartbeat, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<T?> TryAsync<T>(Func<Task<T?>> ask, CancellationToken stop)
    {
        try
        {
            return await ask();
        }
        catch (Exception error) when (error is NpgsqlException or TimeoutException or IOException or OperationCanceledException)
        {
            if (!stop.IsCancellationRequested)
                log.LogWarning("The database does not answer ({Reason}); trying again.", error.Message);
            return default;
        }
    }

    private void Wake()
    {
        try
        {
            _news.Release();
        }
        catch (SemaphoreFullException)
        {
            // Already awake.
        }
    }
}
