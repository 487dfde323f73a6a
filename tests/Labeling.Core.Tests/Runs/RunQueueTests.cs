using System.Collections.Concurrent;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Runs;
using Labeling.Testing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Labeling.Core.Tests.Runs;

public sealed class RunQueueTests : IAsyncLifetime
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(300);
    private static readonly CancellationToken None = CancellationToken.None;

    private TestDatabase _database = null!;
    private NpgsqlDataSource _source = null!;
    private DatasetVersion _dataset = null!;

    public async ValueTask InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync();
        _source = NpgsqlDataSource.Create(_database.ConnectionString);
        await using var db = _database.CreateContext();
        _dataset = Seed.Dataset(db, Seed.Project(db));
        await db.SaveChangesAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        await _database.DisposeAsync();
    }

    private RunQueue Queue(TimeSpan? lease = null, TimeSpan? grace = null) =>
        new(_source, new() { Lease = lease ?? TimeSpan.FromSeconds(30), GraceAfterDatabaseStart = grace ?? TimeSpan.Zero, Backoff = TimeSpan.FromMilliseconds(50) });

    private async Task<TrainingRun> AddAsync(int priority = 0, int maxAttempts = 3)
    {
        await using var db = _database.CreateContext();
        var run = Seed.Run(db, _dataset, priority: priority, maxAttempts: maxAttempts);
        await db.SaveChangesAsync();
        return run;
    }

    private async Task<TrainingRun> ReadAsync(Guid id)
    {
        await using var db = _database.CreateContext();
        return await db.TrainingRuns.SingleAsync(run => run.Id == id);
    }

    private static RunReport Report(params int[] steps) =>
        new(new(steps.Max(), 100, "training"), [.. steps.Select(step => new RunMetricLine(step, DateTimeOffset.UtcNow, $$"""{"loss":{{step}}}"""))], null, "log");

    private static Task NoRecord(LabelingDbContext db, CancellationToken cancel) => Task.CompletedTask;

    [Fact]
    public async Task Claims_go_by_priority_then_by_time()
    {
        var first = await AddAsync();
        var second = await AddAsync();
        var urgent = await AddAsync(priority: 5);
        var queue = Queue();

        Guid?[] claimed = [(await queue.ClaimAsync("w", None))?.RunId, (await queue.ClaimAsync("w", None))?.RunId, (await queue.ClaimAsync("w", None))?.RunId];

        Assert.Equal([urgent.Id, first.Id, second.Id], claimed);
        Assert.Null(await queue.ClaimAsync("w", None));
    }

    [Fact]
    public async Task Many_workers_at_once_claim_every_run_once()
    {
        for (var i = 0; i < 60; i++)
            await AddAsync();
        var queue = Queue();
        var claimed = new ConcurrentBag<Guid>();

        await Task.WhenAll(Enumerable.Range(0, 32).Select(async worker =>
        {
            while (await queue.ClaimAsync($"w{worker}", None) is { } lease)
                claimed.Add(lease.RunId);
        }));

        Assert.Equal(60, claimed.Count);
        Assert.Equal(60, claimed.Distinct().Count());
    }

    [Fact]
    public async Task A_run_exists_for_workers_exactly_if_the_transaction_that_queued_it_committed()
    {
        await using (var db = _database.CreateContext())
        {
            await using var transaction = await db.Database.BeginTransactionAsync();
            await RunQueue.EnqueueAsync(db, Seed.Run(db, _dataset), None);
            Assert.Null(await Queue().ClaimAsync("w", None));
            await transaction.RollbackAsync();
        }
        Assert.Null(await Queue().ClaimAsync("w", None));
    }

    [Fact]
    public async Task A_former_holder_can_write_nothing()
    {
        var run = await AddAsync();
        var queue = Queue(Short);
        var zombie = (await queue.ClaimAsync("zombie", None))!;
        await queue.ReportAsync(zombie, Report(1), None);
        await Task.Delay(Short * 2);
        Assert.Equal(1, await queue.RescueAsync([], None));
        var heir = (await Queue().ClaimAsync("heir", None))!;
        await queue.ReportAsync(heir, Report(2), None);
        var before = await ReadAsync(run.Id);

        await Assert.ThrowsAsync<LeaseLostException>(() => queue.RenewAsync(zombie, None));
        await Assert.ThrowsAsync<LeaseLostException>(() => queue.ReportAsync(zombie, Report(7), None));
        await Assert.ThrowsAsync<LeaseLostException>(() => queue.FailAsync(zombie, "x", retry: true, None));
        await Assert.ThrowsAsync<LeaseLostException>(() => queue.ReleaseAsync(zombie, None));
        await Assert.ThrowsAsync<LeaseLostException>(() => queue.CancelledAsync(zombie, None));
        await Assert.ThrowsAsync<LeaseLostException>(() => queue.CompleteAsync(zombie, "{}", (db, _) => { Seed.Person(db, "ghost"); return Task.CompletedTask; }, None));

        Assert.Equivalent(before, await ReadAsync(run.Id));
        await using var db = _database.CreateContext();
        Assert.Equal([1, 2], await db.RunMetrics.OrderBy(metric => metric.Step).Select(metric => metric.Step).ToListAsync());
        Assert.False(await db.Users.AnyAsync());
        await queue.CompleteAsync(heir, "{}", NoRecord, None);
        Assert.Equal(RunState.Completed, (await ReadAsync(run.Id)).State);
    }

    [Fact]
    public async Task An_expired_lease_allows_no_write_but_can_be_renewed_while_nobody_took_the_run()
    {
        await AddAsync();
        var queue = Queue(Short);
        var lease = (await queue.ClaimAsync("w", None))!;
        await Task.Delay(Short * 2);

        await Assert.ThrowsAsync<LeaseLostException>(() => queue.ReportAsync(lease, Report(1), None));
        await Assert.ThrowsAsync<LeaseLostException>(() => queue.CompleteAsync(lease, "{}", NoRecord, None));
        Assert.False(await queue.RenewAsync(lease, None));
        await queue.ReportAsync(lease, Report(1), None);
    }

    [Fact]
    public async Task A_silent_workers_run_waits_again_until_its_attempts_are_used_up()
    {
        var run = await AddAsync(maxAttempts: 2);
        var queue = Queue(TimeSpan.FromMilliseconds(50));

        Assert.Equal(1, (await queue.ClaimAsync("worker-1", None))!.Attempt);
        await Task.Delay(100);
        Assert.Equal(0, await queue.RescueAsync([run.Id], None));
        Assert.Equal(1, await queue.RescueAsync([], None));
        Assert.Equal(RunState.Retryable, (await ReadAsync(run.Id)).State);
        Assert.Equal(2, (await queue.ClaimAsync("worker-2", None))!.Attempt);
        await Task.Delay(100);
        Assert.Equal(1, await queue.RescueAsync([], None));

        var failed = await ReadAsync(run.Id);
        Assert.Equal(RunState.Failed, failed.State);
        Assert.Equal("The worker worker-2 stopped answering during attempt 2 of 2.", failed.FailureReason);
        Assert.Null(await queue.ClaimAsync("w", None));
    }

    [Fact]
    public async Task After_a_database_start_owners_have_time_to_come_back()
    {
        await AddAsync();
        var queue = Queue(TimeSpan.FromMilliseconds(50), grace: TimeSpan.FromHours(1));
        await queue.ClaimAsync("w", None);
        await Task.Delay(100);

        Assert.Equal(0, await queue.RescueAsync([], None));
        Assert.Equal(1, await Queue(grace: TimeSpan.Zero).RescueAsync([], None));
    }

    [Fact]
    public async Task A_report_twice_is_recorded_once_and_going_back_forgets_the_later_steps()
    {
        var run = await AddAsync();
        var queue = Queue();
        var lease = (await queue.ClaimAsync("w", None))!;

        await queue.ReportAsync(lease, Report(1, 2, 3, 4, 5), None);
        await queue.ReportAsync(lease, Report(1, 2, 3, 4, 5), None);
        await queue.ReportAsync(lease, Report(1, 2, 3) with { ForgetAfterStep = 3 }, None);
        await queue.ReportAsync(lease, new(null, [new(4, DateTimeOffset.UtcNow, """{"loss":40}""")], null, null), None);

        await using var db = _database.CreateContext();
        var metrics = await db.RunMetrics.OrderBy(metric => metric.Step).ToListAsync();
        Assert.Equal([1, 2, 3, 4], metrics.Select(metric => metric.Step));
        Assert.Equal("""{"loss":40}""", metrics[3].Values);
        var read = await ReadAsync(run.Id);
        Assert.Equal((3, 100, "training", "log"), (read.Step, read.TotalSteps, read.Phase, read.LogTail));
    }

    [Fact]
    public async Task A_failure_worth_retrying_waits_a_little_and_a_bad_input_does_not_come_back()
    {
        var retried = await AddAsync();
        var queue = Queue();
        var lease = (await queue.ClaimAsync("w", None))!;
        Assert.Equal(RunState.Retryable, await queue.FailAsync(lease, "SIGSEGV", retry: true, None));
        Assert.True((await ReadAsync(retried.Id)).AvailableAt > DateTimeOffset.UtcNow.AddSeconds(-1));
        await Task.Delay(100);
        lease = (await queue.ClaimAsync("w", None))!;
        Assert.Equal(2, lease.Attempt);

        Assert.Equal(RunState.Failed, await queue.FailAsync(lease, "data/train.jsonl:3 is not JSON", retry: false, None));

        Assert.Equal("data/train.jsonl:3 is not JSON", (await ReadAsync(retried.Id)).FailureReason);
        Assert.Null(await queue.ClaimAsync("w", None));
    }

    [Fact]
    public async Task Giving_a_run_back_costs_no_attempt()
    {
        var run = await AddAsync(maxAttempts: 1);
        var queue = Queue();
        await queue.ReleaseAsync((await queue.ClaimAsync("w", None))!, None);

        Assert.Equal(RunState.Available, (await ReadAsync(run.Id)).State);
        Assert.Equal(1, (await queue.ClaimAsync("w2", None))!.Attempt);
    }

    [Fact]
    public async Task Cancelling_stops_a_waiting_run_at_once_and_tells_the_holder_of_a_running_one()
    {
        var waiting = await AddAsync();
        await using var db = _database.CreateContext();
        Assert.True(await RunQueue.RequestCancelAsync(db, waiting.Id, None));
        Assert.Equal(RunState.Cancelled, (await ReadAsync(waiting.Id)).State);
        Assert.False(await RunQueue.RequestCancelAsync(db, waiting.Id, None));

        var running = await AddAsync();
        var queue = Queue();
        var lease = (await queue.ClaimAsync("w", None))!;
        Assert.False(await queue.RenewAsync(lease, None));
        Assert.True(await RunQueue.RequestCancelAsync(db, running.Id, None));
        Assert.Equal(RunState.Running, (await ReadAsync(running.Id)).State);
        Assert.True(await queue.RenewAsync(lease, None));
        await queue.CancelledAsync(lease, None);
        Assert.Equal(RunState.Cancelled, (await ReadAsync(running.Id)).State);

        Assert.True(await RunQueue.RequestRetryAsync(db, running.Id, None));
        Assert.False(await queue.RenewAsync((await queue.ClaimAsync("w", None))!, None));
    }

    [Fact]
    public async Task A_cancelled_run_whose_worker_dies_stays_cancelled()
    {
        var run = await AddAsync();
        var queue = Queue(TimeSpan.FromMilliseconds(50));
        await queue.ClaimAsync("w", None);
        await using var db = _database.CreateContext();
        await RunQueue.RequestCancelAsync(db, run.Id, None);
        await Task.Delay(100);

        await queue.RescueAsync([], None);

        Assert.Equal(RunState.Cancelled, (await ReadAsync(run.Id)).State);
    }

    [Fact]
    public async Task A_rescue_and_a_completion_at_the_same_moment_never_both_happen()
    {
        var lifetime = TimeSpan.FromMilliseconds(60);
        var queue = Queue(lifetime);
        int completed = 0, rescued = 0;
        // How long it takes from the claim to the finish depends on the machine: the pause follows what won last, so that both keep happening.
        var pause = lifetime;
        for (var round = 0; round < 60 || (completed * rescued == 0 && round < 300); round++)
        {
            var run = await AddAsync(maxAttempts: 1);
            var lease = (await queue.ClaimAsync("w", None))!;
            await Task.Delay(pause);
            var finish = Task.Run(async () =>
            {
                try
                {
                    await queue.CompleteAsync(lease, "{}", (db, _) => { Seed.Model(db, new() { Id = _dataset.ProjectId, Name = "" }, lease.RunId.ToString()); return Task.CompletedTask; }, None);
                    return true;
                }
                catch (LeaseLostException)
                {
                    return false;
                }
            });
            await queue.RescueAsync([], None);
            var won = await finish;
            await Task.Delay(lifetime);
            await queue.RescueAsync([], None);

            await using var db = _database.CreateContext();
            var effects = await db.Models.CountAsync(model => model.Name == lease.RunId.ToString());
            var state = (await ReadAsync(run.Id)).State;
            Assert.Equal(won ? (1, RunState.Completed) : (0, RunState.Failed), (effects, state));
            (completed, rescued) = won ? (completed + 1, rescued) : (completed, rescued + 1);
            pause = TimeSpan.FromMilliseconds(Math.Clamp(pause.TotalMilliseconds + (won ? 3 : -3), 0, 100));
        }
        Assert.True(completed > 0 && rescued > 0, $"completed {completed}, rescued {rescued}: the race did not happen");
    }

    /// <summary>16 clients, 500 short runs; clients vanish without a word, and some come back after their lease and try to finish all the same.</summary>
    [Fact]
    public async Task Through_random_deaths_every_run_takes_effect_exactly_once()
    {
        await using (var db = _database.CreateContext())
        {
            for (var i = 0; i < 500; i++)
                Seed.Run(db, _dataset, maxAttempts: 1000);
            await db.SaveChangesAsync();
        }
        var queue = Queue(TimeSpan.FromMilliseconds(500));
        using var done = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var zombies = new ConcurrentBag<Task<bool>>();
        var deaths = 0;

        async Task<bool> FinishAsync(RunLease lease)
        {
            try
            {
                await queue.ReportAsync(lease, Report(1, 2), None);
                await queue.CompleteAsync(lease, "{}", (db, _) =>
                {
                    db.AuditEvents.Add(new() { Id = Guid.CreateVersion7(), At = DateTimeOffset.UtcNow, Action = "effect", Subject = lease.RunId.ToString() });
                    return Task.CompletedTask;
                }, None);
                return true;
            }
            catch (LeaseLostException)
            {
                return false;
            }
        }

        async Task WorkAsync(int number)
        {
            var random = new Random(number);
            while (!done.IsCancellationRequested)
            {
                await queue.RescueAsync([], None);
                if (await queue.ClaimAsync($"w{number}", None) is not { } lease)
                {
                    await using var db = _database.CreateContext();
                    if (!await db.TrainingRuns.AnyAsync(run => run.State != RunState.Completed))
                        return;
                    await Task.Delay(50);
                    continue;
                }
                var fate = random.Next(10);
                if (fate < 2)
                    Interlocked.Increment(ref deaths);
                else if (fate == 2)
                    zombies.Add(Task.Delay(random.Next(400, 900)).ContinueWith(_ => FinishAsync(lease), TaskScheduler.Default).Unwrap());
                else
                    await FinishAsync(lease);
            }
        }

        await Task.WhenAll(Enumerable.Range(0, 16).Select(WorkAsync));
        await Task.WhenAll(zombies);

        await using var after = _database.CreateContext();
        Assert.Equal(500, await after.TrainingRuns.CountAsync(run => run.State == RunState.Completed));
        var effects = await after.AuditEvents.Where(audit => audit.Action == "effect").Select(audit => audit.Subject).ToListAsync();
        Assert.Equal(500, effects.Count);
        Assert.Equal(500, effects.Distinct().Count());
        Assert.True(deaths > 50, $"{deaths} deaths");
        Assert.Contains(zombies, zombie => !zombie.Result);
    }

    [Fact]
    public async Task News_arrive_at_once_and_again_after_the_listening_connection_was_cut()
    {
        var signals = new RunSignals(_source, new() { Poll = TimeSpan.FromMilliseconds(100) }, NullLogger<RunSignals>.Instance);
        using var news = new SemaphoreSlim(0);
        var cancelled = new TaskCompletionSource<Guid>(TaskCreationOptions.RunContinuationsAsynchronously);
        signals.RunQueued += () => news.Release();
        signals.CancelRequested += id => cancelled.TrySetResult(id);
        using var stop = new CancellationTokenSource();
        var listening = signals.ListenAsync(stop.Token);
        Assert.True(await news.WaitAsync(TimeSpan.FromSeconds(5)), "subscribed");

        await using var connection = await _database.OpenConnectionAsync();
        await using (var cut = new NpgsqlCommand("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query = 'listen labeling_runs'", connection))
            Assert.True((bool)(await cut.ExecuteScalarAsync())!);
        Assert.True(await news.WaitAsync(TimeSpan.FromSeconds(5)), "subscribed again");

        await using var db = _database.CreateContext();
        await RunQueue.EnqueueAsync(db, Seed.Run(db, _dataset), None);
        Assert.True(await news.WaitAsync(TimeSpan.FromSeconds(2)), "told of a new run");
        var run = await AddAsync();
        await Queue().ClaimAsync("w", None);
        await RunQueue.RequestCancelAsync(db, run.Id, None);
        Assert.Equal(run.Id, await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(2)));

        await stop.CancelAsync();
        await listening;
    }
}
