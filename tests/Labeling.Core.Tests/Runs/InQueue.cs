using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Runs;
using Labeling.Testing;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Labeling.Core.Tests.Runs;

/// <summary>A database with one dataset, and the run queue on it.</summary>
public abstract class InQueue : IAsyncLifetime
{
    protected static readonly CancellationToken None = CancellationToken.None;

    protected TestDatabase Database { get; private set; } = null!;

    protected NpgsqlDataSource Source { get; private set; } = null!;

    protected DatasetVersion Dataset { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Database = await TestDatabase.CreateAsync();
        Source = NpgsqlDataSource.Create(Database.ConnectionString);
        await using var db = Database.CreateContext();
        Dataset = Seed.Dataset(db, Seed.Project(db));
        await db.SaveChangesAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Source.DisposeAsync();
        await Database.DisposeAsync();
    }

    protected RunQueue Queue(TimeSpan? lease = null, TimeSpan? grace = null) =>
        new(Source, new() { Lease = lease ?? TimeSpan.FromSeconds(30), GraceAfterDatabaseStart = grace ?? TimeSpan.Zero, Backoff = TimeSpan.FromMilliseconds(50) });

    protected async Task<TrainingRun> AddAsync(int priority = 0, int maxAttempts = 3)
    {
        await using var db = Database.CreateContext();
        var run = Seed.Run(db, Dataset, priority: priority, maxAttempts: maxAttempts);
        await db.SaveChangesAsync();
        return run;
    }

    protected async Task<TrainingRun> ReadAsync(Guid id)
    {
        await using var db = Database.CreateContext();
        return await db.TrainingRuns.SingleAsync(run => run.Id == id);
    }

    /// <summary>Ends the lease of a run at once, as if its worker had been silent for longer than that.</summary>
    protected Task LapseAsync(Guid id) => SetAsync(id, "lease_expires_at = clock_timestamp() - interval '1 second'");

    /// <summary>Turns the clocks of a run instead of waiting for them.</summary>
    protected async Task SetAsync(Guid id, string assignment)
    {
        await using var command = Source.CreateCommand($"update training_runs set {assignment} where id = $1");
        command.Parameters.AddWithValue(id);
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
    }

    protected static RunReport Report(params int[] steps) =>
        new(new(steps.Max(), 100, "training"), [.. steps.Select(step => new RunMetricLine(step, DateTimeOffset.UtcNow, $$"""{"loss":{{step}}}"""))], null, "log");

    protected static Task NoRecord(LabelingDbContext db, CancellationToken cancel) => Task.CompletedTask;
}
