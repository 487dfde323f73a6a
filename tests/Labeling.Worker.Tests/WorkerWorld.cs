using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using Labeling.Core;
using Labeling.Core.Data;
using Labeling.Core.Features.Datasets;
using Labeling.Core.Features.Models;
using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Testing;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Labeling.Worker.Tests;

/// <summary>These tests measure leases of a few seconds around real training processes: side by side they would only starve each other.</summary>
public static class RealProcesses
{
    public const string Name = "real processes";
}

/// <summary>
/// A database with prompts and demonstrations, a data folder, a base model, and worker processes as an installation runs them, only with shorter leases.
/// </summary>
public sealed class WorkerWorld : IAsyncDisposable
{
    public const int Demonstrations = 32;
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(4);

    private readonly TestDatabase _database;
    private readonly ServiceProvider _services;
    private readonly List<WorkerProcess> _workers = [];

    private WorkerWorld(TestDatabase database, string dataFolder)
    {
        (_database, DataFolder) = (database, dataFolder);
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([new("ConnectionStrings:Labeling", database.ConnectionString), new("Labeling:DataFolder", dataFolder)]).Build();
        _services = new ServiceCollection().AddLogging(logging => logging.SetMinimumLevel(LogLevel.Error)).AddLabelingCore(configuration).BuildServiceProvider();
    }

    public string DataFolder { get; }
    public Actor Admin { get; private set; }
    public Project Project { get; private set; } = null!;
    public Guid BaseModel { get; private set; }
    public Guid DemonstrationSet { get; private set; }
    public Guid PromptSet { get; private set; }

    public static async Task<WorkerWorld> CreateAsync(TinyModel model, TestDatabase? database = null)
    {
        var world = new WorkerWorld(database ?? await TestDatabase.CreateAsync(), Directory.CreateTempSubdirectory("labeling-worker-").FullName);
        await using (var db = world.Open())
        {
            world.Admin = Actor.Person(Seed.Person(db, "Ada", Roles.Admin).Id);
            world.Project = Seed.Project(db);
            var author = Seed.Person(db, "Ann");
            for (var i = 0; i < Demonstrations; i++)
                Seed.Demonstration(db, Seed.Prompt(db, world.Project, $"say the number {i}", i % 8 == 0 ? Split.Valid : Split.Train), author, i % 2 == 0 ? "red cat" : "blue dog");
            await db.SaveChangesAsync();
        }
        world.BaseModel = await world.SendAsync(new RegisterModel(Actor.System, Guid.CreateVersion7(), world.Project.Id, "base", ModelKind.Policy, model.Folder, null));
        world.DemonstrationSet = await world.FreezeAsync(DatasetKind.Demonstrations);
        world.PromptSet = await world.FreezeAsync(DatasetKind.Prompts);
        return world;
    }

    public LabelingDbContext Open() => _database.CreateContext();

    public async Task<T> SendAsync<T>(Core.Pipeline.IRequest<T> request)
    {
        await using var scope = _services.CreateAsyncScope();
        var result = await scope.ServiceProvider.GetRequiredService<Mediator.ISender>().Send(request);
        Assert.True(result.Ok, $"{request.GetType().Name}: {result.Problem?.Message}");
        return result.Value;
    }

    public async Task<Guid> FreezeAsync(DatasetKind kind, DatasetFilter? filter = null) =>
        (await SendAsync(new FreezeDataset(Admin, Guid.CreateVersion7(), Project.Id, kind.ToString(), kind, filter ?? new()))).Id;

    public Task<Guid> StartAsync(
        RunStage stage, Guid dataset, IReadOnlyList<Guid> models, object hyperparameters, Guid? reward = null, bool rankingTasks = false, string? batch = null) =>
        SendAsync(new StartRun(
            Admin, Guid.CreateVersion7(), Project.Id, stage.ToString(), stage, dataset, models, reward,
            JsonSerializer.SerializeToElement(hyperparameters).EnumerateObject().ToDictionary(value => value.Name, value => (object?)value.Value), 7, rankingTasks, batch));

    /// <summary>An SFT run that takes several seconds, with a checkpoint every 20 steps.</summary>
    public Task<Guid> StartSftAsync(int epochs = 300) =>
        StartAsync(RunStage.Sft, DemonstrationSet, [BaseModel], new { epochs, batch_size = 28, checkpoint_every = 20, learning_rate = 1e-3 });

    public WorkerProcess StartWorker(params (string Key, string Value)[] settings)
    {
        var worker = new WorkerProcess(
        [
            ("ConnectionStrings__Labeling", _database.ConnectionString), ("Labeling__DataFolder", DataFolder), ("Labeling__TrainerThreads", "1"),
            ("Labeling__Queue__Lease", Lease.ToString()), ("Labeling__Queue__Heartbeat", "00:00:00.5"), ("Labeling__Queue__Poll", "00:00:00.5"),
            ("Labeling__Queue__GraceAfterDatabaseStart", "00:00:02"), ("Labeling__Queue__Backoff", "00:00:00.2"), ("Labeling__Queue__CommandTimeout", "00:00:02"), .. settings,
        ]);
        _workers.Add(worker);
        return worker;
    }

    public string RunFolder(Guid id) => Path.Combine(DataFolder, "runs", id.ToString());

    public async Task<TrainingRun> ReadAsync(Guid id)
    {
        await using var db = Open();
        return await db.TrainingRuns.AsNoTracking().SingleAsync(run => run.Id == id);
    }

    public async Task<List<RunMetric>> MetricsAsync(Guid id)
    {
        await using var db = Open();
        return await db.RunMetrics.AsNoTracking().Where(metric => metric.RunId == id).OrderBy(metric => metric.Step).ToListAsync();
    }

    public Task<TrainingRun> WaitAsync(Guid id, RunState state, int seconds = 120) => WaitAsync(id, run => run.State == state, $"become {state}", seconds);

    public Task<TrainingRun> WaitForStepAsync(Guid id, int step) => WaitAsync(id, run => run.Step >= step, $"reach step {step}", 120);

    public async Task<TrainingRun> WaitAsync(Guid id, Func<TrainingRun, bool> arrived, string what, int seconds)
    {
        var waited = Stopwatch.StartNew();
        TrainingRun? last = null;
        while (waited.Elapsed < TimeSpan.FromSeconds(seconds))
        {
            try
            {
                last = await ReadAsync(id);
                if (arrived(last)) return last;
            }
            catch (Exception error) when (error is Npgsql.NpgsqlException || error.InnerException is Npgsql.NpgsqlException)
            {
                // The test stopped the database; it comes back.
            }
            await Task.Delay(50);
        }
        throw new TimeoutException(
            $"The run did not {what} within {seconds} s: {last?.State} at step {last?.Step}, attempt {last?.Attempt}: {last?.FailureReason}\n{last?.LogTail}\n"
            + string.Join("\n\n", _workers.Select(worker => worker.Output)));
    }

    /// <summary>The trainer that holds the run's folder now.</summary>
    public int TrainerPid(Guid id)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(RunFolder(id), "run.pid")));
        return json.RootElement.GetProperty("pid").GetInt32();
    }

    /// <summary>Every step of the trainer once, in order, as its own file says; no step twice in the file either.</summary>
    public async Task AssertMetricsCompleteAsync(Guid id)
    {
        var written = (await File.ReadAllLinesAsync(Path.Combine(RunFolder(id), "metrics.jsonl"))).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        var recorded = await MetricsAsync(id);
        Assert.Equal(Enumerable.Range(1, written.Count), written.Select(line => line.GetProperty("step").GetInt32()));
        Assert.Equal(written.Select(line => line.GetProperty("step").GetInt32()), recorded.Select(metric => metric.Step));
        Assert.Equal(
            written.Select(line => line.GetProperty("loss").GetDouble()), recorded.Select(metric => JsonDocument.Parse(metric.Values).RootElement.GetProperty("loss").GetDouble()));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var worker in _workers)
            await worker.DisposeAsync();
        await _services.DisposeAsync();
        await _database.DisposeAsync();
        Directory.Delete(DataFolder, recursive: true);
    }
}

/// <summary>A worker as a process of its own.</summary>
public sealed class WorkerProcess : IAsyncDisposable
{
    private readonly ConcurrentQueue<string> _lines = [];
    private readonly Process _process;

    public WorkerProcess(IEnumerable<(string Key, string Value)> environment)
    {
        var start = new ProcessStartInfo("dotnet", [TinyModel.Worker]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (key, value) in environment)
            start.Environment[key] = value;
        _process = Process.Start(start)!;
        _process.OutputDataReceived += (_, line) => _lines.Enqueue(line.Data ?? "");
        _process.ErrorDataReceived += (_, line) => _lines.Enqueue(line.Data ?? "");
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Id => _process.Id;
    public bool HasExited => _process.HasExited;
    public int ExitCode => _process.ExitCode;
    public string Output => string.Join('\n', _lines);

    public void Signal(int signal) => Assert.True(Signals.Send(_process.Id, signal), "the worker is gone");

    public Task EndedAsync(int seconds) => _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(seconds));

    /// <summary>SIGKILL for the worker alone; its trainer is left behind.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            Signals.Send(_process.Id, Signals.Continue);
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }
        _process.Dispose();
    }
}
