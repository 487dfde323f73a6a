using System.Diagnostics;
using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;
using Labeling.Testing;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Labeling.Worker.Tests;

/// <summary>Everything that can die dies in the middle of a run: with real workers, real trainers and a real PostgreSQL.</summary>
[Collection(RealProcesses.Name)]
public sealed class FaultTests(TinyModel model)
{
    private const int Kill = 9;

    private static async Task<string> WeightsAsync(WorkerWorld world, Guid runId)
    {
        await using var db = world.Open();
        return await db.ModelFiles.Where(file => file.Path == "model.safetensors" && db.Models.Any(made => made.Id == file.ModelId && made.RunId == runId))
            .Select(file => file.Sha256).SingleAsync();
    }

    [Fact]
    public async Task Killed_trainer_and_killed_worker_end_in_the_same_weights_as_an_undisturbed_run()
    {
        await using var world = await WorkerWorld.CreateAsync(model);
        var first = world.StartWorker();
        var undisturbed = await world.StartSftAsync();
        Assert.Equal(1, (await world.WaitAsync(undisturbed, RunState.Completed)).Attempt);
        await world.AssertMetricsCompleteAsync(undisturbed);

        var disturbed = await world.StartSftAsync();
        await world.WaitForStepAsync(disturbed, 50);
        var trainer = world.TrainerPid(disturbed);
        Assert.True(Signals.Send(trainer, Kill));
        var retried = await world.WaitAsync(disturbed, run => run.Attempt == 2, "be tried again", 60);
        Assert.Contains("SIGKILL", retried.FailureReason, StringComparison.Ordinal);

        await world.WaitForStepAsync(disturbed, 120);
        var orphan = world.TrainerPid(disturbed);
        Assert.NotEqual(trainer, orphan);
        await first.KillAsync();
        world.StartWorker();
        var done = await world.WaitAsync(disturbed, RunState.Completed);

        Assert.Equal((3, null), (done.Attempt, done.FailureReason));
        Assert.False(Signals.IsAlive(orphan));
        await world.AssertMetricsCompleteAsync(disturbed);
        Assert.Equal(300, (await world.MetricsAsync(disturbed)).Count);
        Assert.Equal(await WeightsAsync(world, undisturbed), await WeightsAsync(world, disturbed));
        await using var db = world.Open();
        Assert.Equal(1, await db.Models.CountAsync(made => made.RunId == disturbed));
    }

    [Fact]
    public async Task A_stopped_worker_that_wakes_after_its_run_was_finished_by_another_writes_nothing()
    {
        await using var world = await WorkerWorld.CreateAsync(model);
        var zombie = world.StartWorker();
        var id = await world.StartSftAsync(epochs: 200);
        var held = await world.WaitForStepAsync(id, 30);
        Assert.Contains($":{zombie.Id}", held.LeaseOwner, StringComparison.Ordinal);
        var orphan = world.TrainerPid(id);

        zombie.Signal(Signals.Stop);
        world.StartWorker();
        await world.WaitAsync(id, RunState.Completed);
        Assert.False(IsRunning(orphan), "the zombie's trainer was ended by the successor");
        var finished = await world.ReadAsync(id);
        var metrics = await world.MetricsAsync(id);

        zombie.Signal(Signals.Continue);
        await Until(() => zombie.Output.Contains("left to another worker", StringComparison.Ordinal), 30, "the zombie gave up");
        Assert.Equivalent(finished, await world.ReadAsync(id));
        Assert.Equivalent(metrics, await world.MetricsAsync(id));
        await world.AssertMetricsCompleteAsync(id);
        await using var db = world.Open();
        Assert.Equal(1, await db.Models.CountAsync(made => made.RunId == id));
    }

    [Fact]
    public async Task PostgreSQL_killed_in_the_middle_neither_ends_the_worker_nor_the_training()
    {
        await using var server = await PostgresServer.StartAsync();
        await using var world = await WorkerWorld.CreateAsync(model, await server.CreateDatabaseAsync());
        var worker = world.StartWorker();
        var id = await world.StartSftAsync(epochs: 600);
        await world.WaitForStepAsync(id, 30);
        var trainer = world.TrainerPid(id);

        await server.KillAsync();
        // Longer than the lease: nobody else may take the run, and the trainer has to wait.
        await Task.Delay(WorkerWorld.Lease * 1.5);
        Assert.False(worker.HasExited);
        await server.RestartAsync();
        NpgsqlConnection.ClearAllPools();
        var done = await world.WaitAsync(id, RunState.Completed);

        Assert.Equal(1, done.Attempt);
        Assert.Equal(trainer, world.TrainerPid(id));
        await world.AssertMetricsCompleteAsync(id);
    }

    [Fact]
    public async Task While_the_database_hangs_past_the_lease_the_trainer_waits()
    {
        await using var server = await PostgresServer.StartAsync(durable: false);
        await using var world = await WorkerWorld.CreateAsync(model, await server.CreateDatabaseAsync());
        world.StartWorker();
        // More than any machine does while the lease runs out.
        var id = await world.StartSftAsync(epochs: 10_000);
        await world.WaitForStepAsync(id, 30);
        var trainer = world.TrainerPid(id);
        int[] servers = await ServerPidsAsync(server.ConnectionString);

        Array.ForEach(servers, pid => Signals.Send(pid, Signals.Stop));
        try
        {
            await Until(() => StateOf(trainer) == 'T', 60, "the trainer waits");
        }
        finally
        {
            Array.ForEach(servers, pid => Signals.Send(pid, Signals.Continue));
        }
        await Until(() => StateOf(trainer) != 'T', 60, "the trainer goes on");

        NpgsqlConnection.ClearAllPools();
        var waiting = await world.ReadAsync(id);
        await world.WaitForStepAsync(id, waiting.Step + 50);
        Assert.Equal(trainer, world.TrainerPid(id));
        await world.SendAsync(new CancelRun(world.Admin, id));
        Assert.Equal(1, (await world.WaitAsync(id, RunState.Cancelled)).Attempt);
        await world.AssertMetricsCompleteAsync(id);
    }

    [Fact]
    public async Task A_worker_asked_to_stop_gives_its_run_back_with_a_checkpoint_and_another_continues()
    {
        await using var world = await WorkerWorld.CreateAsync(model);
        var first = world.StartWorker();
        var id = await world.StartSftAsync();
        await world.WaitForStepAsync(id, 25);

        first.Signal(Signals.Terminate);
        await first.EndedAsync(30);

        var waiting = await world.ReadAsync(id);
        Assert.Equal((RunState.Available, 0, 0), (waiting.State, waiting.Attempt, first.ExitCode));
        Assert.NotEmpty(Directory.GetDirectories(Path.Combine(world.RunFolder(id), "checkpoints")));
        world.StartWorker();
        Assert.Equal(1, (await world.WaitAsync(id, RunState.Completed)).Attempt);
        await world.AssertMetricsCompleteAsync(id);
    }

    [Fact]
    public async Task A_cancelled_run_stops_at_once_with_a_checkpoint_and_can_go_on_later()
    {
        await using var world = await WorkerWorld.CreateAsync(model);
        world.StartWorker();
        var id = await world.StartSftAsync();
        await world.WaitForStepAsync(id, 25);
        var trainer = world.TrainerPid(id);

        var pressed = Stopwatch.StartNew();
        await world.SendAsync(new CancelRun(world.Admin, id));
        await world.WaitAsync(id, RunState.Cancelled, 10);
        Assert.InRange(pressed.Elapsed.TotalSeconds, 0, 6);
        Assert.False(IsRunning(trainer));
        var steps = (await world.MetricsAsync(id)).Count;
        Assert.InRange(steps, 25, 299);

        await world.SendAsync(new RetryRun(world.Admin, id));
        await world.WaitAsync(id, RunState.Completed);
        await world.AssertMetricsCompleteAsync(id);
        Assert.Contains("step", (await world.ReadAsync(id)).LogTail!, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_worker_whose_starter_is_gone_stops()
    {
        await using var world = await WorkerWorld.CreateAsync(model);
        using var parent = Process.Start("sleep", "60");
        var worker = world.StartWorker(("Labeling__ParentPid", parent.Id.ToString()));
        await Until(() => worker.Output.Contains("takes runs", StringComparison.Ordinal), 60, "the worker is up");

        parent.Kill();
        await parent.WaitForExitAsync();

        await worker.EndedAsync(20);
        Assert.Equal(0, worker.ExitCode);
    }

    [Fact]
    public async Task A_trainer_that_always_crashes_is_given_up_with_the_signals_name_and_its_last_words()
    {
        await using var world = await WorkerWorld.CreateAsync(model);
        var script = Path.Combine(world.DataFolder, "crash.sh");
        await File.WriteAllTextAsync(script, "#!/bin/sh\necho 'terminate called after throwing std::bad_alloc' >&2\nkill -SEGV $$\n");
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(script, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        world.StartWorker(("Labeling__TrainerPath", script));
        var id = await world.StartSftAsync();

        var failed = await world.WaitAsync(id, RunState.Failed);

        Assert.Equal(3, failed.Attempt);
        Assert.Equal("The trainer crashed (SIGSEGV). Its last words:\nterminate called after throwing std::bad_alloc", failed.FailureReason);
    }

    private static bool IsRunning(int pid) => Signals.IsAlive(pid) && StateOf(pid) != 'Z';

    /// <summary>The state letter of /proc/pid/stat; it follows the name in parentheses.</summary>
    private static char StateOf(int pid)
    {
        var stat = File.ReadAllText($"/proc/{pid}/stat");
        return stat[stat.LastIndexOf(')') + 2];
    }

    /// <summary>The server's main process and those that serve a connection.</summary>
    private static async Task<int[]> ServerPidsAsync(string connectionString)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync();
        await using var backends = new NpgsqlCommand("select array_agg(pid) from pg_stat_activity where backend_type = 'client backend'", connection);
        var pids = (int[])(await backends.ExecuteScalarAsync())!;
        // The process all backends come from: without it no new connection is answered either.
        var stat = await File.ReadAllTextAsync($"/proc/{pids[0]}/stat");
        return [int.Parse(stat[(stat.LastIndexOf(')') + 4)..].Split(' ')[0]), .. pids];
    }

    private static async Task Until(Func<bool> condition, int seconds, string what)
    {
        var waited = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(seconds), $"within {seconds} s: {what}");
            await Task.Delay(50);
        }
    }
}
