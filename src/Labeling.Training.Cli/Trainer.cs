using System.Runtime.InteropServices;
using Labeling.Training.Native;
using Labeling.Training.Optim;
using Labeling.Training.Runs;

namespace Labeling.Training.Cli;

/// <summary>
/// Runs one stage on the process's first thread and turns how it ends into an exit code and error.json. The first, because glibc has one heap for its blocks
/// of any size; another thread's are at most 64 MB, and what is larger would be new pages in every step (<see href="https://sourceware.org/glibc/wiki/MallocInternals"/>).
/// </summary>
internal static class Trainer
{
    public const int Done = 0;
    public const int Crashed = 1;
    public const int BadInput = 2;
    public const int Stopped = 3;

    public static int Run(string stage, string folder, string device, string? resources)
    {
        using var stop = new CancellationTokenSource();
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Ask);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Ask);
        Lifeline.Hold(stop);
        using var terminal = new Terminal();
        return RunHere(stage, folder, device, resources, terminal, stop.Token);

        void Ask(PosixSignalContext signal)
        {
            // The first request ends the run after its current step with a checkpoint; a second one is not held back.
            if (!stop.IsCancellationRequested)
            {
                signal.Cancel = true;
                stop.Cancel();
            }
        }
    }

    private static int RunHere(string stage, string folder, string device, string? resources, Terminal terminal, CancellationToken stop)
    {
        try
        {
            using var measured = resources is null ? null : new ResourceLog(resources);
            using var run = new RunFolder(folder, terminal.Log, progress =>
            {
                measured?.After(progress);
                terminal.Progress(progress);
            }, stop);
            if (run.Spec.Stage != stage)
            {
                throw new BadInputException($"{run.Spec.File} is for stage '{run.Spec.Stage}'; start it with: labeling-train {run.Spec.Stage} --run {folder}");
            }
            return Guarded(run, folder, device, terminal);
        }
        catch (Exception e)
        {
            return Failed(e, folder, message => terminal.Error(message));
        }
    }

    private static int Guarded(RunFolder run, string folder, string device, Terminal terminal)
    {
        try
        {
            File.Delete(run.In("error.json"));
            ComputeDevice.Use(device);
            if (run.Spec.Threads > 0)
            {
                TorchSharp.torch.set_num_threads(run.Spec.Threads);
            }
            Stages.Run(run);
            return Done;
        }
        catch (RunStoppedException e)
        {
            run.Log(e.Message);
            return Stopped;
        }
        catch (Exception e)
        {
            return Failed(e, folder, message =>
            {
                terminal.Error(message);
                run.Log("Failed: " + message);
            });
        }
    }

    private static int Failed(Exception e, string folder, Action<string> report)
    {
        var (code, retryable) = e switch
        {
            BadInputException => (BadInput, false),
            // The same numbers would come out again.
            NonFiniteException or NonFiniteGradientException or SelfCheckException or LibTorchException => (Crashed, false),
            _ => (Crashed, true),
        };
        try
        {
            report(e is BadInputException or NonFiniteException or NonFiniteGradientException or SelfCheckException or LibTorchException or IOException ? e.Message : e.ToString());
            RunFolder.WriteError(folder, e.Message, retryable);
        }
        catch (IOException)
        {
            // The disk is full, which is most likely why the run failed; standard error has the reason.
        }
        return code;
    }
}
