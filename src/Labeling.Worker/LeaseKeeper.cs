using System.Diagnostics;
using Labeling.Core.Runs;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Labeling.Worker;

/// <summary>
/// Keeps the lease of one run by heartbeats, and tells when it must not be relied on. While the database does not answer, this process's own clock decides:
/// before the lease can have run out the trainer is paused, so that it never writes beside a successor; when the heartbeat gets through again it goes on.
/// </summary>
internal sealed class LeaseKeeper : IAsyncDisposable
{
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    private readonly RunQueue _queue;
    private readonly RunSignals _signals;
    private readonly RunLease _lease;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _end = new();
    private readonly CancellationTokenSource _lost = new();
    private readonly CancellationTokenSource _cancelRequested = new();
    private readonly SemaphoreSlim _beatNow = new(0);
    private readonly Task _beating;
    private long _confirmed = Stopwatch.GetTimestamp();

    public LeaseKeeper(RunQueue queue, RunSignals signals, RunLease lease, ILogger log)
    {
        (_queue, _signals, _lease, _log) = (queue, signals, lease, log);
        signals.CancelRequested += OnCancelRequested;
        _beating = Task.WhenAll(BeatAsync(), GuardAsync());
    }

    /// <summary>The run is not ours any more: write nothing, stop the trainer at once.</summary>
    public CancellationToken Lost => _lost.Token;

    /// <summary>Somebody asked to cancel the run.</summary>
    public CancellationToken CancelRequested => _cancelRequested.Token;

    /// <summary>True: the lease may have run out, pause the trainer. False: it is ours for sure again.</summary>
    public event Action<bool>? Doubtful;

    /// <summary>Writes to the queue, waiting as long as the database is away.</summary>
    /// <exception cref="LeaseLostException">The run is somebody else's.</exception>
    public async Task<T> WriteAsync<T>(Func<CancellationToken, Task<T>> write)
    {
        for (var renewed = false; ;)
        {
            if (_lost.IsCancellationRequested) throw new LeaseLostException(_lease.RunId);
            try
            {
                return await write(_lost.Token);
            }
            catch (LeaseLostException) when (!renewed)
            {
                // Perhaps it only ran out while the database was away.
                renewed = true;
                await BeatOnceAsync();
            }
            catch (Exception error) when (IsDatabaseAway(error))
            {
                _log.LogWarning("Run {Run}: the database does not answer ({Reason}); the report waits.", _lease.RunId, error.Message);
                await Task.Delay(RetryPause, _lost.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    public Task WriteAsync(Func<CancellationToken, Task> write) => WriteAsync(async cancel =>
    {
        await write(cancel);
        return true;
    });

    public async ValueTask DisposeAsync()
    {
        _signals.CancelRequested -= OnCancelRequested;
        await _end.CancelAsync();
        await _beating.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _end.Dispose();
        _lost.Dispose();
        _cancelRequested.Dispose();
        _beatNow.Dispose();
    }

    private static bool IsDatabaseAway(Exception? error) => error switch
    {
        null => false,
        PostgresException
        {
            SqlState: PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or PostgresErrorCodes.CannotConnectNow or PostgresErrorCodes.TooManyConnections
            or PostgresErrorCodes.DiskFull
        } => true,
        PostgresException => false,
        NpgsqlException or TimeoutException => true,
        DbUpdateException or InvalidOperationException => IsDatabaseAway(error.InnerException),
        _ => false,
    };

    private void OnCancelRequested(Guid runId)
    {
        if (runId == _lease.RunId) _beatNow.Release();
    }

    private async Task BeatAsync()
    {
        while (!_end.IsCancellationRequested && !_lost.IsCancellationRequested)
        {
            var heard = await BeatOnceAsync();
            await _beatNow.WaitAsync(heard ? _queue.Options.Heartbeat : RetryPause, _end.Token);
        }
    }

    private async Task<bool> BeatOnceAsync()
    {
        // The lease counts from before the request: the answer may have been long on its way.
        var asked = Stopwatch.GetTimestamp();
        try
        {
            if (await _queue.RenewAsync(_lease, _end.Token)) await _cancelRequested.CancelAsync();
            Interlocked.Exchange(ref _confirmed, asked);
            return true;
        }
        catch (LeaseLostException)
        {
            _log.LogWarning("Run {Run} is not this worker's any more.", _lease.RunId);
            await _lost.CancelAsync();
        }
        catch (Exception error) when (IsDatabaseAway(error) || (error is OperationCanceledException && !_end.IsCancellationRequested))
        {
            _log.LogWarning("Run {Run}: the heartbeat did not get through ({Reason}).", _lease.RunId, error.Message);
        }
        return false;
    }

    private async Task GuardAsync()
    {
        var lease = _queue.Options.Lease;
        // Early enough to pause the trainer before anybody else can have the run.
        var trusted = lease - (lease / 6);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(Math.Clamp(lease.TotalMilliseconds / 30, 20, 500)));
        var doubtful = false;
        while (await timer.WaitForNextTickAsync(_end.Token))
        {
            var now = Stopwatch.GetElapsedTime(Interlocked.Read(ref _confirmed)) > trusted;
            if (now == doubtful) continue;
            doubtful = now;
            Doubtful?.Invoke(now);
        }
    }
}
