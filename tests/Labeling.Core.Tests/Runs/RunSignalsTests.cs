using Labeling.Core.Runs;
using Labeling.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Labeling.Core.Tests.Runs;

public sealed class RunSignalsTests : InQueue
{
    [Fact]
    public async Task News_arrive_at_once_and_again_after_the_listening_connection_was_cut()
    {
        var signals = new RunSignals(Source, new() { Poll = TimeSpan.FromMilliseconds(100) }, NullLogger<RunSignals>.Instance);
        using var news = new SemaphoreSlim(0);
        var cancelled = new TaskCompletionSource<Guid>(TaskCreationOptions.RunContinuationsAsynchronously);
        signals.RunQueued += () => news.Release();
        signals.CancelRequested += id => cancelled.TrySetResult(id);
        using var stop = new CancellationTokenSource();
        var listening = signals.ListenAsync(stop.Token);
        Assert.True(await news.WaitAsync(TimeSpan.FromSeconds(5)), "subscribed");

        await using var connection = await Database.OpenConnectionAsync();
        await using (var cut = new NpgsqlCommand("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query = 'listen labeling_runs'", connection))
            Assert.True((bool)(await cut.ExecuteScalarAsync())!);
        Assert.True(await news.WaitAsync(TimeSpan.FromSeconds(5)), "subscribed again");

        await using var db = Database.CreateContext();
        await RunQueue.EnqueueAsync(db, Seed.Run(db, Dataset), None);
        Assert.True(await news.WaitAsync(TimeSpan.FromSeconds(2)), "told of a new run");
        var run = await AddAsync();
        await Queue().ClaimAsync("w", None);
        await RunQueue.RequestCancelAsync(db, run.Id, None);
        Assert.Equal(run.Id, await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(2)));

        await stop.CancelAsync();
        await listening;
    }
}
