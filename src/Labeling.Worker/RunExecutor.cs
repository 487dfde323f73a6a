using System.Text.Json;
using Labeling.Core.Model;
using Labeling.Core.Runs;
using Microsoft.Extensions.Logging;

namespace Labeling.Worker;

/// <summary>
/// One attempt at a run: lays out its folder, starts the trainer, records what it reports, and settles how it ended. Whatever goes wrong ends in a state of the run
/// with a reason, or, when the lease is lost, in silence.
/// </summary>
internal sealed class RunExecutor(RunQueue queue, RunSignals signals, RunFolderWriter folders, RunRecorder recorder, WorkerOptions options, ILogger<RunExecutor> log)
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan ReportAtMostEvery = TimeSpan.FromMilliseconds(200);

    public async Task ExecuteAsync(RunLease lease, CancellationToken stopping)
    {
        log.LogInformation("Run {Run} ({Stage}), attempt {Attempt} of {Max}.", lease.RunId, lease.Stage, lease.Attempt, lease.MaxAttempts);
        await using var keeper = new LeaseKeeper(queue, signals, lease, log);
        try
        {
            await AttemptAsync(lease, keeper, stopping);
        }
        catch (Exception) when (keeper.Lost.IsCancellationRequested)
        {
            log.LogWarning("Run {Run} was left to another worker; nothing more is written.", lease.RunId);
        }
        catch (LeaseLostException)
        {
            log.LogWarning("Run {Run} was left to another worker; nothing more is written.", lease.RunId);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested || keeper.CancelRequested.IsCancellationRequested)
        {
            await EndAsync(lease, keeper, () => GiveBackAsync(lease, keeper));
        }
        catch (Exception error)
        {
            log.LogError(error, "Run {Run} failed in the worker.", lease.RunId);
            await EndAsync(lease, keeper, () => FailAsync(lease, keeper, error.Message, retry: true));
        }
    }

    private async Task AttemptAsync(RunLease lease, LeaseKeeper keeper, CancellationToken stopping)
    {
        using var interrupted = CancellationTokenSource.CreateLinkedTokenSource(stopping, keeper.Lost, keeper.CancelRequested);
        var folder = folders.FolderOf(lease.RunId);
        Directory.CreateDirectory(folder);
        await OrphanedTrainer.EndAsync(folder, message => log.LogWarning("{Message}", message), interrupted.Token);
        var run = await keeper.WriteAsync(_ => folders.WriteAsync(lease.RunId, interrupted.Token));
        interrupted.Token.ThrowIfCancellationRequested();

        using var trainer = TrainerProcess.Start(options.Trainer, StageCatalog.NameOf(lease.Stage), folder, log);
        log.LogInformation("Run {Run}: trainer {Pid} started in {Folder}.", lease.RunId, trainer.Id, folder);
        var tail = new RunFolderTail(folder);
        keeper.Doubtful += trainer.Pause;
        try
        {
            await FollowAsync(lease, keeper, trainer, tail, folder, interrupted.Token);
        }
        finally
        {
            keeper.Doubtful -= trainer.Pause;
            // Reached with a live trainer only when the lease is lost or something broke here.
            if (!trainer.HasExited) await trainer.KillAsync();
        }
        await SettleAsync(lease, keeper, run, trainer, tail, folder, stopping);
    }

    /// <summary>Reports until the trainer has ended and everything it wrote is recorded; stops it when asked to.</summary>
    private async Task FollowAsync(RunLease lease, LeaseKeeper keeper, TrainerProcess trainer, RunFolderTail tail, string folder, CancellationToken interrupted)
    {
        // Written files wake us; where the file system does not tell, looking does.
        using var written = new SemaphoreSlim(0);
        using var watcher = new FileSystemWatcher(folder) { EnableRaisingEvents = true, NotifyFilter = NotifyFilters.LastWrite | NotifyFilters.FileName };
        watcher.Changed += (_, _) => Wake(written);
        watcher.Renamed += (_, _) => Wake(written);
        var ended = trainer.WaitAsync(keeper.Lost);
        var stop = StopWhenAsync(trainer, ended, keeper, interrupted);
        for (var last = false; !last;)
        {
            last = ended.IsCompleted;
            await ReportAsync(lease, keeper, tail);
            if (last) break;
            await Task.WhenAny(ended, Task.Delay(ReportAtMostEvery, keeper.Lost));
            await Task.WhenAny(ended, written.WaitAsync(LookEvery, keeper.Lost));
            keeper.Lost.ThrowIfCancellationRequested();
        }
        await ended;
        await stop;
    }

    private async Task ReportAsync(RunLease lease, LeaseKeeper keeper, RunFolderTail tail)
    {
        if (tail.Read() is { } report)
            await keeper.WriteAsync(cancel => queue.ReportAsync(lease, report, cancel));
    }

    private static async Task StopWhenAsync(TrainerProcess trainer, Task ended, LeaseKeeper keeper, CancellationToken interrupted)
    {
        var asked = Task.Delay(Timeout.Infinite, interrupted);
        if (await Task.WhenAny(asked, ended) == asked && !keeper.Lost.IsCancellationRequested)
            await trainer.StopAsync(WorkerOptions.StopGrace);
    }

    private async Task SettleAsync(
        RunLease lease, LeaseKeeper keeper, TrainingRun run, TrainerProcess trainer, RunFolderTail tail, string folder, CancellationToken stopping)
    {
        var (message, retryable) = ReadError(folder);
        switch (trainer.ExitCode)
        {
            case 0:
                await CompleteAsync(lease, keeper, run, tail, folder);
                break;
            case 2:
                await FailAsync(lease, keeper, message ?? LastWords(trainer, "refused its input without saying why"), retry: false);
                break;
            case var _ when keeper.CancelRequested.IsCancellationRequested || stopping.IsCancellationRequested:
            case 3:
                await GiveBackAsync(lease, keeper);
                break;
            case var code:
                await FailAsync(lease, keeper, message ?? LastWords(trainer, Signals.Describe(code)), retryable);
                break;
        }
    }

    private async Task CompleteAsync(RunLease lease, LeaseKeeper keeper, TrainingRun run, RunFolderTail tail, string folder)
    {
        try
        {
            var outcome = await recorder.ReadAsync(run, folder, keeper.Lost);
            // The recorder has had its say in the log.
            await ReportAsync(lease, keeper, tail);
            await keeper.WriteAsync(cancel => queue.CompleteAsync(lease, outcome.Result, outcome.RecordAsync, cancel));
        }
        catch (InvalidDataException error)
        {
            await FailAsync(lease, keeper, error.Message, retry: true);
            return;
        }
        log.LogInformation("Run {Run} completed.", lease.RunId);
        try
        {
            folders.Tidy(lease.RunId);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            log.LogWarning("Run {Run}: could not remove files that are no longer needed: {Reason}", lease.RunId, error.Message);
        }
    }

    private async Task FailAsync(RunLease lease, LeaseKeeper keeper, string reason, bool retry)
    {
        var storable = reason.Replace('\0', '\uFFFD');
        var state = await keeper.WriteAsync(cancel => queue.FailAsync(lease, storable, retry, cancel));
        log.LogWarning("Run {Run} is {State}: {Reason}", lease.RunId, state.ToString().ToLowerInvariant(), storable);
    }

    private async Task GiveBackAsync(RunLease lease, LeaseKeeper keeper)
    {
        var cancelled = keeper.CancelRequested.IsCancellationRequested;
        await keeper.WriteAsync(cancel => cancelled ? queue.CancelledAsync(lease, cancel) : queue.ReleaseAsync(lease, cancel));
        log.LogInformation("Run {Run} {What}.", lease.RunId, cancelled ? "was cancelled" : "was given back");
    }

    private async Task EndAsync(RunLease lease, LeaseKeeper keeper, Func<Task> end)
    {
        try
        {
            await end();
        }
        catch (Exception error) when (error is LeaseLostException || keeper.Lost.IsCancellationRequested)
        {
            log.LogWarning("Run {Run} was left to another worker; nothing more is written.", lease.RunId);
        }
    }

    private static (string? Message, bool Retryable) ReadError(string folder)
    {
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "error.json")));
            var root = json.RootElement;
            return (root.GetProperty("message").GetString(), !root.TryGetProperty("retryable", out var retryable) || retryable.ValueKind != JsonValueKind.False);
        }
        catch (Exception error) when (error is IOException or JsonException or KeyNotFoundException or InvalidOperationException)
        {
            // It had no time to say anything.
            return (null, true);
        }
    }

    private static string LastWords(TrainerProcess trainer, string how) =>
        trainer.Errors is { Length: > 0 } errors ? $"The trainer {how}. Its last words:\n{errors}" : $"The trainer {how}.";

    private static void Wake(SemaphoreSlim written)
    {
        try
        {
            if (written.CurrentCount == 0) written.Release();
        }
        catch (ObjectDisposedException)
        {
            // The last event of a watcher that is being disposed.
        }
    }
}
