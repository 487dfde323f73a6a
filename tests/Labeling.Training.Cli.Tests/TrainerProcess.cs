using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Labeling.Training.Cli.Tests;

/// <summary>labeling-train as a real child process.</summary>
internal sealed partial class TrainerProcess : IDisposable
{
    private readonly Process process;
    private readonly Task<string> output;
    private readonly Task<string> error;

    public TrainerProcess(params string[] arguments)
    {
        var here = new DirectoryInfo(AppContext.BaseDirectory);
        var program = Path.Combine(here.Parent!.Parent!.FullName, "Labeling.Training.Cli", here.Name, "labeling-train.dll");
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in arguments.Prepend(program))
        {
            start.ArgumentList.Add(argument);
        }
        process = Process.Start(start)!;
        output = process.StandardOutput.ReadToEndAsync();
        error = process.StandardError.ReadToEndAsync();
    }

    public static (int Code, string Output, string Error) Run(params string[] arguments)
    {
        using var trainer = new TrainerProcess(arguments);
        return trainer.Wait(TimeSpan.FromMinutes(3));
    }

    public (int Code, string Output, string Error) Wait(TimeSpan limit)
    {
        if (!process.WaitForExit(limit))
        {
            throw new TimeoutException($"labeling-train did not end within {limit.TotalMinutes} minutes.");
        }
        return (process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Waits until the run has written this many metric lines; false when the process ended before.</summary>
    public bool WaitForStep(string folder, int step)
    {
        var metrics = Path.Combine(folder, "metrics.jsonl");
        while (!process.HasExited)
        {
            if (File.Exists(metrics) && RunFiles.CountLines(metrics) >= step)
            {
                return true;
            }
            process.WaitForExit(2);
        }
        return false;
    }

    public void Kill()
    {
        process.Kill();
        process.WaitForExit();
    }

    public void Terminate()
    {
        if (Signal(process.Id, 15) != 0)
        {
            throw new InvalidOperationException("labeling-train could not be signalled.");
        }
    }

    public void Dispose()
    {
        if (!process.HasExited)
        {
            Kill();
        }
        process.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Signal(int process, int signal);
}
