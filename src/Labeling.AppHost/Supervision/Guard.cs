using System.Diagnostics;
using System.Globalization;

namespace Labeling.AppHost.Supervision;

/// <summary>
/// Makes sure that nothing outlives this process, even when it is killed with a signal it cannot handle. A tiny
/// shell in a session of its own holds the other end of a pipe: when the pipe closes, for whatever reason, it asks
/// what is still running to stop, services first and the database last. While the host lives it stops everything
/// itself and the guard has nothing to do.
/// </summary>
public sealed class Guard : IDisposable
{
    // Each line replaces the list; an entry is <signal>:<process group>. A constant text: nothing is ever put into it.
    private const string Script =
        """
        list=
        tell() { kill -s "$1" -- "-$2" 2>/dev/null || kill -s "$1" "$2" 2>/dev/null; }
        while IFS= read -r line; do list=$line; done
        for signal in TERM INT; do
          for entry in $list; do
            [ "${entry%%:*}" = "$signal" ] && tell "$signal" "${entry##*:}"
          done
          left=150
          for entry in $list; do
            [ "${entry%%:*}" = "$signal" ] || continue
            while [ "$left" -gt 0 ] && tell 0 "${entry##*:}"; do sleep 0.1; left=$((left - 1)); done
            [ "$signal" = TERM ] && tell KILL "${entry##*:}"
          done
        done
        """;

    private readonly Lock gate = new();
    private readonly Dictionary<int, string> watched = [];
    private readonly Process? shell;

    /// <summary>On Windows there is no guard: closing the console ends every program attached to it.</summary>
    public Guard()
    {
        if (OperatingSystem.IsWindows())
            return;
        shell = Process.Start(new Launch("/bin/sh", "-c", Script) { OwnSession = true, WorkingDirectory = "/" }.ToStartInfo());
    }

    /// <summary>
    /// Stops the process and its group when this process dies: with SIGTERM, or, for a PostgreSQL server, after
    /// everything else has ended and with SIGINT, its fast shutdown.
    /// </summary>
    public void Watch(int processId, bool isDatabase) => Change(list => list[processId] = isDatabase ? "INT" : "TERM");

    public void Forget(int processId) => Change(list => list.Remove(processId));

    public void Dispose()
    {
        if (shell is null)
            return;
        // An empty list first: if somebody still runs now, it was left running on purpose.
        Change(list => list.Clear());
        shell.StandardInput.Close();
        shell.WaitForExit(TimeSpan.FromSeconds(2));
        shell.Dispose();
    }

    private void Change(Action<Dictionary<int, string>> change)
    {
        if (shell is null)
            return;
        lock (gate)
        {
            change(watched);
            try
            {
                shell.StandardInput.WriteLine(string.Join(' ', watched.Select(entry => string.Create(CultureInfo.InvariantCulture, $"{entry.Value}:{entry.Key}"))));
                shell.StandardInput.Flush();
            }
            catch (IOException)
            {
                // Somebody ended the guard. The services still stop with the host; only its sudden death is no longer covered.
            }
        }
    }
}
