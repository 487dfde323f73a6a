using Labeling.Core.Data;
using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;

namespace Labeling.Core.Runs;

/// <summary>
/// The queue of training runs and the only place that writes a run's queue columns. A run is claimed with a lease token; every later write names
/// the token and finds no row when the lease has gone to somebody else, so a run never has two writers. Times are the database's.
/// </summary>
/// <remarks>
/// An expired lease allows no write. Its holder may renew it as long as nobody else has taken the run (a laptop that slept, a database that was down);
/// <see cref="RescueAsync"/> gives expired runs away.
/// </remarks>
public sealed class RunQueue(NpgsqlDataSource database, RunQueueOptions options)
{
    /// <summary>Notified when a run is queued (empty payload) and when one is to be cancelled (its id).</summary>
    public const string Channel = "labeling_runs";

    private const string Token = "id = @run and lease_token = @token and state = 'running'";
    private const string Fence = $"{Token} and lease_expires_at > clock_timestamp()";
    private const string NoLease = "lease_token = null, lease_owner = null, lease_expires_at = null";

    // What becomes of a run whose attempt broke off.
    private const string AfterFailedAttempt =
        "case when cancel_requested_at is not null then 'cancelled' when attempt < max_attempts then 'retryable' else 'failed' end";

    private readonly DbContextOptions<LabelingDbContext> _contextOptions = ContextOptions(database);

    public RunQueueOptions Options => options;

    /// <summary>Adds a run in the caller's transaction: it exists for workers exactly if that commits.</summary>
    public static async Task EnqueueAsync(LabelingDbContext db, TrainingRun run, CancellationToken cancel)
    {
        db.TrainingRuns.Add(run);
        await db.SaveChangesAsync(cancel);
        await db.Database.ExecuteSqlAsync($"select pg_notify({Channel}, '')", cancel);
    }

    /// <summary>Takes the most urgent waiting run, or null when none waits. Never blocks on other workers.</summary>
    public async Task<RunLease?> ClaimAsync(string owner, CancellationToken cancel)
    {
        var token = Guid.NewGuid();
        await using var command = Command(
            """
            update training_runs set
              state = 'running', attempt = attempt + 1, lease_token = @token, lease_owner = @owner, lease_expires_at = clock_timestamp() + @lease,
              started_at = coalesce(started_at, clock_timestamp())
            where id = (
              select id from training_runs where state in ('available', 'retryable') and available_at <= clock_timestamp()
              order by priority desc, available_at, id limit 1 for update skip locked)
            returning id, stage, attempt, max_attempts
            """);
        command.Parameters.AddWithValue("token", token);
        command.Parameters.AddWithValue("owner", owner);
        command.Parameters.AddWithValue("lease", options.Lease);
        await using var reader = await command.ExecuteReaderAsync(cancel);
        return await reader.ReadAsync(cancel)
            ? new(reader.GetGuid(0), token, Enum.Parse<RunStage>(reader.GetString(1), ignoreCase: true), reader.GetInt32(2), reader.GetInt32(3))
            : null;
    }

    /// <summary>Renews the lease, also one that ran out while nobody took the run.</summary>
    /// <returns>True when somebody asked to cancel the run.</returns>
    /// <exception cref="LeaseLostException">The run is somebody else's or finished.</exception>
    public async Task<bool> RenewAsync(RunLease lease, CancellationToken cancel)
    {
        await using var command = Command($"update training_runs set lease_expires_at = clock_timestamp() + @lease where {Token} returning cancel_requested_at is not null", lease);
        command.Parameters.AddWithValue("lease", options.Lease);
        return await command.ExecuteScalarAsync(cancel) as bool? ?? throw new LeaseLostException(lease.RunId);
    }

    /// <summary>Records what the trainer has reported, all of it or nothing. The same report twice changes nothing.</summary>
    public async Task ReportAsync(RunLease lease, RunReport report, CancellationToken cancel)
    {
        // One row per step: the same row cannot be upserted twice in one statement.
        var metrics = report.Metrics.GroupBy(line => line.Step).Select(lines => lines.Last()).ToList();
        await using var command = Command(
            $"""
            with held as (
              update training_runs set
                step = coalesce(@step, step), total_steps = case when @step is null then total_steps else @total_steps end,
                phase = case when @step is null then phase else @phase end, log_tail = coalesce(@log_tail, log_tail), progress_at = clock_timestamp()
              where {Fence} returning id),
            forgotten as (
              delete from run_metrics using held where run_id = held.id and run_metrics.step > @forget_after and run_metrics.step <> all (@steps)),
            recorded as (
              insert into run_metrics (run_id, step, "time", "values")
              select held.id, line.step, line.at, line.numbers::json from held, unnest(@steps, @times, @numbers) as line (step, at, numbers)
              on conflict (run_id, step) do update set "time" = excluded."time", "values" = excluded."values")
            select count(*) from held
            """, lease);
        command.Parameters.Add(Nullable("step", NpgsqlDbType.Integer, report.Progress?.Step));
        command.Parameters.Add(Nullable("total_steps", NpgsqlDbType.Integer, report.Progress?.TotalSteps));
        command.Parameters.Add(Nullable("phase", NpgsqlDbType.Text, report.Progress?.Phase));
        command.Parameters.Add(Nullable("log_tail", NpgsqlDbType.Text, report.LogTail));
        command.Parameters.Add(Nullable("forget_after", NpgsqlDbType.Integer, report.ForgetAfterStep));
        command.Parameters.AddWithValue("steps", metrics.Select(line => line.Step).ToArray());
        command.Parameters.AddWithValue("times", metrics.Select(line => line.Time.ToUniversalTime()).ToArray());
        command.Parameters.AddWithValue("numbers", metrics.Select(line => line.Values).ToArray());
        if (await command.ExecuteScalarAsync(cancel) is not 1L)
            throw new LeaseLostException(lease.RunId);
    }

    /// <summary>
    /// Records the run's outcome and finishes it in one transaction. The run's row stays locked from the check of the lease to the commit:
    /// nobody can take the run in between, however long <paramref name="record"/> takes.
    /// </summary>
    /// <param name="result">Final figures, as a JSON object.</param>
    public async Task CompleteAsync(RunLease lease, string result, Func<LabelingDbContext, CancellationToken, Task> record, CancellationToken cancel)
    {
        await using var db = new LabelingDbContext(_contextOptions);
        db.Database.SetCommandTimeout(TimeSpan.FromMinutes(5));
        await using var transaction = await db.Database.BeginTransactionAsync(cancel);
        var held = await db.Database.SqlQueryRaw<int>(
            $"""select 1 as "Value" from training_runs where {Fence} for update""", Parameter("run", lease.RunId), Parameter("token", lease.Token)).ToListAsync(cancel);
        if (held.Count == 0)
            throw new LeaseLostException(lease.RunId);
        await record(db, cancel);
        await db.SaveChangesAsync(cancel);
        await db.Database.ExecuteSqlRawAsync(
            $"""
            update training_runs set state = 'completed', finished_at = clock_timestamp(), result = @result::json, failure_reason = null,
              step = coalesce(total_steps, step), {NoLease}
            where {Token}
            """, [Parameter("run", lease.RunId), Parameter("token", lease.Token), Parameter("result", result)], cancel);
        await transaction.CommitAsync(cancel);
    }

    /// <summary>Ends the attempt with a reason.</summary>
    /// <param name="retry">True: the run waits and is tried again, until its attempts are used up.</param>
    public async Task<RunState> FailAsync(RunLease lease, string reason, bool retry, CancellationToken cancel)
    {
        await using var command = Command(
            $"""
            with held as (select id, case when @retry then {AfterFailedAttempt} else 'failed' end as next from training_runs where {Fence} for update)
            update training_runs run set
              state = held.next, failure_reason = @reason, finished_at = case when held.next = 'retryable' then null else clock_timestamp() end,
              available_at = clock_timestamp() + least(@backoff * power(2, run.attempt - 1), @max_backoff), {NoLease}
            from held where run.id = held.id returning run.state
            """, lease);
        command.Parameters.AddWithValue("retry", retry);
        command.Parameters.AddWithValue("reason", reason);
        command.Parameters.AddWithValue("backoff", options.Backoff);
        command.Parameters.AddWithValue("max_backoff", options.MaxBackoff);
        return Enum.Parse<RunState>(await command.ExecuteScalarAsync(cancel) as string ?? throw new LeaseLostException(lease.RunId), ignoreCase: true);
    }

    /// <summary>The trainer has stopped because somebody asked to cancel the run.</summary>
    public Task CancelledAsync(RunLease lease, CancellationToken cancel) =>
        WriteAsync($"update training_runs set state = 'cancelled', finished_at = clock_timestamp(), {NoLease} where {Fence}", lease, cancel);

    /// <summary>Gives the run back untried, because this worker stops: another one continues it at once. Costs no attempt.</summary>
    public Task ReleaseAsync(RunLease lease, CancellationToken cancel) =>
        WriteAsync(
            $"""
            with released as (
              update training_runs set
                state = case when cancel_requested_at is null then 'available' else 'cancelled' end,
                finished_at = case when cancel_requested_at is null then null else clock_timestamp() end,
                attempt = attempt - 1, available_at = clock_timestamp(), {NoLease}
              where {Fence} returning id)
            select pg_notify('{Channel}', '') from released
            """, lease, cancel);

    /// <summary>Takes runs from workers that have gone silent: they wait again, or fail when their attempts are used up.</summary>
    /// <param name="mine">Runs this worker itself is working on and will renew.</param>
    /// <returns>How many were taken.</returns>
    public async Task<int> RescueAsync(IReadOnlyCollection<Guid> mine, CancellationToken cancel)
    {
        await using var command = Command(
            $"""
            with silent as (
              select id, {AfterFailedAttempt} as next from training_runs
              where state = 'running' and lease_expires_at < clock_timestamp() and id <> all (@mine)
                and pg_postmaster_start_time() < clock_timestamp() - @grace
              order by lease_expires_at limit 100 for update skip locked)
            update training_runs run set
              state = silent.next, available_at = clock_timestamp(), finished_at = case when silent.next = 'retryable' then null else clock_timestamp() end,
              failure_reason = case when silent.next = 'cancelled' then failure_reason
                else format('The worker %s stopped answering during attempt %s of %s.', run.lease_owner, run.attempt, run.max_attempts) end, {NoLease}
            from silent where run.id = silent.id
            """);
        command.Parameters.AddWithValue("mine", mine.ToArray());
        command.Parameters.AddWithValue("grace", options.GraceAfterDatabaseStart);
        return await command.ExecuteNonQueryAsync(cancel);
    }

    /// <summary>Cancels a waiting run at once; a running one is stopped by its worker.</summary>
    /// <returns>False when the run is already finished.</returns>
    public static async Task<bool> RequestCancelAsync(LabelingDbContext db, Guid runId, CancellationToken cancel)
    {
        var changed = await db.Database.ExecuteSqlAsync(
            $"""
            update training_runs set
              state = case when state = 'running' then state else 'cancelled' end, finished_at = case when state = 'running' then null else clock_timestamp() end,
              cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
            where id = {runId} and state in ('available', 'retryable', 'running')
            """, cancel);
        await db.Database.ExecuteSqlAsync($"select pg_notify({Channel}, {runId.ToString()})", cancel);
        return changed == 1;
    }

    /// <summary>Puts a failed or cancelled run back in the queue with all its attempts.</summary>
    /// <returns>False when the run is in another state.</returns>
    public static async Task<bool> RequestRetryAsync(LabelingDbContext db, Guid runId, CancellationToken cancel)
    {
        var changed = await db.Database.ExecuteSqlAsync(
            $"""
            update training_runs set state = 'available', attempt = 0, available_at = clock_timestamp(), finished_at = null, cancel_requested_at = null, failure_reason = null
            where id = {runId} and state in ('failed', 'cancelled')
            """, cancel);
        await db.Database.ExecuteSqlAsync($"select pg_notify({Channel}, '')", cancel);
        return changed == 1;
    }

    private async Task WriteAsync(string sql, RunLease lease, CancellationToken cancel)
    {
        await using var command = Command(sql, lease);
        await using var reader = await command.ExecuteReaderAsync(cancel);
        var rows = 0;
        while (await reader.ReadAsync(cancel))
            rows++;
        if (Math.Max(rows, reader.RecordsAffected) < 1)
            throw new LeaseLostException(lease.RunId);
    }

    private NpgsqlCommand Command(string sql, RunLease? lease = null)
    {
        var command = database.CreateCommand(sql);
        command.CommandTimeout = (int)Math.Ceiling(options.CommandTimeout.TotalSeconds);
        if (lease is not null)
        {
            command.Parameters.Add(Parameter("run", lease.RunId));
            command.Parameters.Add(Parameter("token", lease.Token));
        }
        return command;
    }

    private static DbContextOptions<LabelingDbContext> ContextOptions(NpgsqlDataSource database)
    {
        var builder = new DbContextOptionsBuilder<LabelingDbContext>();
        LabelingCore.Configure(builder, database);
        return builder.Options;
    }

    private static NpgsqlParameter Parameter(string name, object value) => new(name, value);

    private static NpgsqlParameter Nullable(string name, NpgsqlDbType type, object? value) => new(name, type) { Value = value ?? DBNull.Value };
}
