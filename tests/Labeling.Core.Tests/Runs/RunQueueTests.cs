using Labeling.Core.Model;
using Labeling.Core.Runs;
using Labeling.Testing;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Tests.Runs;

public sealed class RunQueueTests : InQueue
{
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
    public async Task A_run_exists_for_workers_exactly_if_the_transaction_that_queued_it_committed()
    {
        await using (var db = Database.CreateContext())
        {
            await using var transaction = await db.Database.BeginTransactionAsync();
            await RunQueue.EnqueueAsync(db, Seed.Run(db, Dataset), None);
            Assert.Null(await Queue().ClaimAsync("w", None));
            await transaction.RollbackAsync();
        }
        Assert.Null(await Queue().ClaimAsync("w", None));
    }

    [Fact]
    public async Task A_former_holder_can_write_nothing()
    {
        var run = await AddAsync();
        var queue = Queue();
        var zombie = (await queue.ClaimAsync("zombie", None))!;
        await queue.ReportAsync(zombie, Report(1), None);
        await LapseAsync(run.Id);
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
        await using var db = Database.CreateContext();
        Assert.Equal([1, 2], await db.RunMetrics.OrderBy(metric => metric.Step).Select(metric => metric.Step).ToListAsync());
        Assert.False(await db.Users.AnyAsync());
        await queue.CompleteAsync(heir, "{}", NoRecord, None);
        Assert.Equal(RunState.Completed, (await ReadAsync(run.Id)).State);
    }

    [Fact]
    public async Task An_expired_lease_allows_no_write_but_can_be_renewed_while_nobody_took_the_run()
    {
        var run = await AddAsync();
        var queue = Queue();
        var lease = (await queue.ClaimAsync("w", None))!;
        await LapseAsync(run.Id);

        await Assert.ThrowsAsync<LeaseLostException>(() => queue.ReportAsync(lease, Report(1), None));
        await Assert.ThrowsAsync<LeaseLostException>(() => queue.CompleteAsync(lease, "{}", NoRecord, None));
        Assert.False(await queue.RenewAsync(lease, None));
        await queue.ReportAsync(lease, Report(1), None);
    }

    [Fact]
    public async Task A_silent_workers_run_waits_again_until_its_attempts_are_used_up()
    {
        var run = await AddAsync(maxAttempts: 2);
        var queue = Queue();

        Assert.Equal(1, (await queue.ClaimAsync("worker-1", None))!.Attempt);
        await LapseAsync(run.Id);
        Assert.Equal(0, await queue.RescueAsync([run.Id], None));
        Assert.Equal(1, await queue.RescueAsync([], None));
        Assert.Equal(RunState.Retryable, (await ReadAsync(run.Id)).State);
        Assert.Equal(2, (await queue.ClaimAsync("worker-2", None))!.Attempt);
        await LapseAsync(run.Id);
        Assert.Equal(1, await queue.RescueAsync([], None));

        var failed = await ReadAsync(run.Id);
        Assert.Equal(RunState.Failed, failed.State);
        Assert.Equal("The worker worker-2 stopped answering during attempt 2 of 2.", failed.FailureReason);
        Assert.Null(await queue.ClaimAsync("w", None));
    }

    [Fact]
    public async Task After_a_database_start_owners_have_time_to_come_back()
    {
        var run = await AddAsync();
        var queue = Queue(grace: TimeSpan.FromHours(1));
        await queue.ClaimAsync("w", None);
        await LapseAsync(run.Id);

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

        await using var db = Database.CreateContext();
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
        await SetAsync(retried.Id, "available_at = clock_timestamp()");
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
        await using var db = Database.CreateContext();
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
        var queue = Queue();
        await queue.ClaimAsync("w", None);
        await using var db = Database.CreateContext();
        await RunQueue.RequestCancelAsync(db, run.Id, None);
        await LapseAsync(run.Id);

        await queue.RescueAsync([], None);

        Assert.Equal(RunState.Cancelled, (await ReadAsync(run.Id)).State);
    }
}
