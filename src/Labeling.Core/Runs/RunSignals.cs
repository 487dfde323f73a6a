using Microsoft.Extensions.Logging;
using Npgsql;

namespace Labeling.Core.Runs;

/// <summary>
/// Listens for news of the queue on a connection of its own. News are only hints that save waiting: whoever listens polls as well.
/// A connection that breaks or goes silent is replaced.
/// </summary>
public sealed class RunSignals(NpgsqlDataSource database, RunQueueOptions options, ILogger<RunSignals> log)
{
    /// <summary>Somebody may have queued a run.</summary>
    public event Action? RunQueued;

    /// <summary>Somebody wants this run cancelled.</summary>
    public event Action<Guid>? CancelRequested;

    public async Task ListenAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await ListenOnceAsync(stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error) when (error is NpgsqlException or TimeoutException or IOException or OperationCanceledException)
            {
                log.LogInformation("Lost the connection that listens for new runs ({Reason}); polling until it is back.", error.Message);
            }
            await Task.Delay(options.Poll, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ListenOnceAsync(CancellationToken stop)
    {
        await using var connection = await database.OpenConnectionAsync(stop);
        connection.Notification += (_, news) =>
        {
            if (Guid.TryParse(news.Payload, out var runId))
                CancelRequested?.Invoke(runId);
            else
                RunQueued?.Invoke();
        };
        await ExecuteAsync(connection, $"listen {RunQueue.Channel}", stop);
        // What was queued while nobody listened.
        RunQueued?.Invoke();
        while (true)
        {
            // A half-open connection says nothing for ever: asking something with a time limit finds out.
            if (!await connection.WaitAsync(TimeSpan.FromSeconds(10), stop))
                await ExecuteAsync(connection, "select 1", stop);
        }
    }

    private async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken stop)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = (int)Math.Ceiling(options.CommandTimeout.TotalSeconds) };
        await command.ExecuteNonQueryAsync(stop);
    }
}
