using Labeling.AppHost.Supervision;

namespace Labeling.AppHost.Postgres;

/// <summary>The installation's own PostgreSQL server, kept running: after a crash it recovers on the same port.</summary>
internal sealed class OwnDatabase : IAsyncDisposable
{
    private readonly PostgresCluster cluster;
    private readonly Guard guard;
    private readonly Action<string> say;
    private readonly CancellationTokenSource stopping = new();
    private readonly Task keeping;
    private RunningPostgres running;

    private OwnDatabase(PostgresCluster cluster, RunningPostgres running, Guard guard, Action<string> say)
    {
        this.cluster = cluster;
        this.running = running;
        this.guard = guard;
        this.say = say;
        ConnectionString = running.ConnectionString;
        keeping = KeepRunningAsync();
    }

    public string ConnectionString { get; }

    public string Version => cluster.Binaries.Version;

    public string Folder => cluster.DataFolder;

    public static async Task<OwnDatabase> StartAsync(PostgresOptions options, Guard guard, CancellationToken cancellation)
    {
        var cluster = await PostgresCluster.OpenAsync(options, cancellation);
        var running = await cluster.StartAsync(guard, 0, cancellation);
        return new OwnDatabase(cluster, running, guard, options.Say);
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await keeping;
        await running.DisposeAsync();
        stopping.Dispose();
    }

    private async Task KeepRunningAsync()
    {
        var pause = TimeSpan.FromSeconds(1);
        while (true)
        {
            await ((Task)running.Exited).WaitAsync(stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (stopping.IsCancellationRequested)
                return;
            say($"The database server {ChildProcess.Describe(await running.Exited)}. Starting it again.\n    {running.LastWords.ReplaceLineEndings("\n    ")}");
            while (!await TryRestartAsync())
            {
                await Task.Delay(pause, stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (stopping.IsCancellationRequested)
                    return;
                pause = pause < TimeSpan.FromSeconds(30) ? pause * 2 : pause;
            }

            pause = TimeSpan.FromSeconds(1);
            say("The database is back; nothing that was saved is lost.");
        }
    }

    private async Task<bool> TryRestartAsync()
    {
        try
        {
            var previous = running;
            running = await cluster.StartAsync(guard, previous.Port, stopping.Token);
            await previous.DisposeAsync();
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (HostException error)
        {
            say(error.Message);
            return false;
        }
    }
}
