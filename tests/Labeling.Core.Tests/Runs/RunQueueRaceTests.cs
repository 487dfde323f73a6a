using System.Collections.Concurrent;
using Labeling.Core.Model;
using Labeling.Core.Runs;
using Labeling.Testing;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Tests.Runs;

/// <summary>Many clients of the queue at the same moment.</summary>
public sealed class RunQueueRaceTests : InQueue
{
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
                    await queue.CompleteAsync(lease, "{}", (db, _) => { Seed.Model(db, new() { Id = Dataset.ProjectId, Name = "" }, lease.RunId.ToString()); return Task.CompletedTask; }, None);
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

            await using var db = Database.CreateContext();
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
        await using (var db = Database.CreateContext())
        {
            for (var i = 0; i < 500; i++)
                Seed.Run(db, Dataset, maxAttempts: 1000);
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
                    await using var db = Database.CreateContext();
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

        await using var after = Database.CreateContext();
        Assert.Equal(500, await after.TrainingRuns.CountAsync(run => run.State == RunState.Completed));
        var effects = await after.AuditEvents.Where(audit => audit.Action == "effect").Select(audit => audit.Subject).ToListAsync();
        Assert.Equal(500, effects.Count);
        Assert.Equal(500, effects.Distinct().Count());
        Assert.True(deaths > 50, $"{deaths} deaths");
        Assert.Contains(zombies, zombie => !zombie.Result);
    }
}
