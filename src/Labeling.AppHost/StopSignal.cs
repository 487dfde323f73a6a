using System.Runtime.InteropServices;

namespace Labeling.AppHost;

/// <summary>Turns Ctrl-C, SIGTERM and a closed terminal into a cancellation. A second Ctrl-C ends this process at once; the guard clears up.</summary>
internal sealed class StopSignal : IDisposable
{
    private readonly CancellationTokenSource source = new();
    private readonly List<PosixSignalRegistration> registrations = [];
    private DateTime first;

    public StopSignal()
    {
        foreach (var signal in new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP, PosixSignal.SIGQUIT })
            registrations.Add(PosixSignalRegistration.Create(signal, Handle));
    }

    public CancellationToken Token => source.Token;

    public void Dispose()
    {
        foreach (var registration in registrations)
            registration.Dispose();
        source.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        // Some callers send one signal to the process and to its whole group, so it arrives twice.
        var impatient = context.Signal == PosixSignal.SIGINT && source.IsCancellationRequested && DateTime.UtcNow - first > TimeSpan.FromSeconds(1);
        context.Cancel = !impatient;
        if (source.IsCancellationRequested)
            return;
        first = DateTime.UtcNow;
        source.Cancel();
    }
}
