using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Labeling.AppHost.Supervision;

/// <summary>A started program in a session of its own: its output line by line, its end, and how to end it.</summary>
public sealed partial class ChildProcess : IAsyncDisposable
{
    private readonly Process process;
    private readonly Guard guard;
    private readonly LastLines lastLines = new();

    private ChildProcess(Process process, Guard guard)
    {
        this.process = process;
        this.guard = guard;
        Exited = ReportExitAsync();
    }

    public int Id => process.Id;

    /// <summary>Completes with the exit code after the last line of output has been read.</summary>
    public Task<int> Exited { get; }

    public bool HasExited => process.HasExited;

    /// <summary>The last lines it wrote.</summary>
    public string LastWords => lastLines.ToString();

    /// <summary>Starts the program.</summary>
    /// <param name="launch">What to start.</param>
    /// <param name="guard">Ends it should this process die.</param>
    /// <param name="isDatabase">Whether the guard ends it last, in PostgreSQL's way.</param>
    /// <param name="log">Receives each line it writes.</param>
    public static ChildProcess Start(Launch launch, Guard guard, bool isDatabase, Action<string> log)
    {
        var process = new Process { StartInfo = (launch with { OwnSession = true }).ToStartInfo() };
        ChildProcess? child = null;
        void Keep(object sender, DataReceivedEventArgs line)
        {
            if (line.Data is null)
                return;
            child!.lastLines.Add(line.Data);
            log(line.Data);
        }

        process.OutputDataReceived += Keep;
        process.ErrorDataReceived += Keep;
        process.Start();
        guard.Watch(process.Id, isDatabase);
        process.StandardInput.Close();
        child = new ChildProcess(process, guard);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return child;
    }

    /// <summary>Asks the program to stop, and ends it and all it started when it has not stopped within <paramref name="grace"/>.</summary>
    public async Task StopAsync(TimeSpan grace, bool interrupt = false)
    {
        if (!process.HasExited)
        {
            if (OperatingSystem.IsWindows())
                GenerateConsoleCtrlEvent(CtrlBreak, (uint)process.Id);
            else
                Unix.Signal(process.Id, interrupt ? Unix.SigInt : Unix.SigTerm);
            await ((Task)Exited).WaitAsync(grace).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await KillAsync();
    }

    /// <summary>Ends the program and all it started at once.</summary>
    public async Task KillAsync()
    {
        if (!process.HasExited)
            process.Kill(entireProcessTree: true);
        await Exited;
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        process.Dispose();
    }

    /// <summary>An exit code in words.</summary>
    public static string Describe(int exitCode) => exitCode switch
    {
        128 + 6 => "aborted itself (SIGABRT)",
        128 + 9 => "was killed (SIGKILL; the system does this when memory runs out)",
        128 + 11 => "crashed in native code (SIGSEGV)",
        > 128 and < 160 when !OperatingSystem.IsWindows() => $"was ended by signal {exitCode - 128}",
        _ => $"ended with exit code {exitCode}",
    };

    private async Task<int> ReportExitAsync()
    {
        await process.WaitForExitAsync();
        guard.Forget(process.Id);
        return process.ExitCode;
    }

    private const uint CtrlBreak = 1;

    [LibraryImport("kernel32.dll", SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static partial bool GenerateConsoleCtrlEvent(uint controlEvent, uint processGroupId);
}
