using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Labeling.Worker;

/// <summary>
/// The child process that trains. Its standard input is a lifeline: the system closes it when this worker dies, however it dies, and the trainer then stops.
/// </summary>
internal sealed class TrainerProcess : IDisposable
{
    private const int KeptErrorLines = 20;

    private readonly Process _process;
    private readonly Queue<string> _errors = [];
    private readonly ILogger _log;
    private bool _paused;

    private TrainerProcess(Process process, ILogger log)
    {
        (_process, _log) = (process, log);
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    /// <summary>The last lines it wrote to standard error: what a crash in native code leaves.</summary>
    public string Errors
    {
        get
        {
            lock (_errors)
                return string.Join('\n', _errors);
        }
    }

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    public static TrainerProcess Start(IReadOnlyList<string> command, string stage, string folder, ILogger log)
    {
        var start = new ProcessStartInfo(command[0])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder,
        };
        foreach (var argument in command.Skip(1).Concat([stage, "--run", folder]))
            start.ArgumentList.Add(argument);
        start.Environment["LABELING_TRAIN_LIFELINE"] = "stdin";
        return new(Process.Start(start) ?? throw new InvalidOperationException($"{command[0]} did not start."), log);
    }

    /// <summary>Ends when the process has ended and all it wrote was read.</summary>
    public Task WaitAsync(CancellationToken cancel = default) => _process.WaitForExitAsync(cancel);

    /// <summary>Asks for a checkpoint and an end; insists after the grace.</summary>
    public async Task StopAsync(TimeSpan grace)
    {
        if (_process.HasExited) return;
        Pause(false);
        if (OperatingSystem.IsWindows()) _process.StandardInput.Close();
        else Signals.Send(_process.Id, Signals.Terminate);
        using var patience = new CancellationTokenSource(grace);
        try
        {
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _log.LogWarning("The trainer {Pid} did not stop within {Grace} s; ending it.", _process.Id, grace.TotalSeconds);
            await KillAsync();
        }
    }

    public async Task KillAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
    }

    /// <summary>Holds the process where it is, or lets it go on. Windows knows no such thing: there it is ended and continues from its checkpoint later.</summary>
    public void Pause(bool pause)
    {
        if (pause == _paused || _process.HasExited) return;
        _paused = pause;
        if (OperatingSystem.IsWindows()) _process.Kill();
        else Signals.Send(_process.Id, pause ? Signals.Stop : Signals.Continue);
        _log.LogWarning("The trainer {Pid} {What}.", _process.Id, pause ? "waits until the lease is sure again" : "goes on");
    }

    public void Dispose() => _process.Dispose();

    private void Keep(string? line)
    {
        if (string.IsNullOrWhiteSpace(line)) return;
        lock (_errors)
        {
            _errors.Enqueue(line);
            while (_errors.Count > KeptErrorLines)
                _errors.Dequeue();
        }
    }
}
