using System.Globalization;
using System.Runtime.Versioning;
using Labeling.AppHost.Supervision;

namespace Labeling.AppHost.Postgres;

/// <summary>
/// Deals with what an earlier, killed host left behind in a cluster's <c>postmaster.pid</c>. The caller holds the
/// data folder's lock, so a server found running there belongs to nobody any more.
/// </summary>
internal static class StaleServer
{
    public static async Task EndAsync(string cluster, Action<string> say, CancellationToken cancellation)
    {
        var pidFile = Path.Combine(cluster, "postmaster.pid");
        if (OperatingSystem.IsWindows() || ReadProcessId(pidFile) is not { } processId || !Unix.IsAlive(processId))
            return;
        if (!await IsServerOfAsync(processId, cluster, cancellation))
        {
            // The number was given to another program since; PostgreSQL would take it for a running server and refuse.
            File.Delete(pidFile);
            return;
        }

        say("A database server of an earlier start is still running: stopping it first.");
        if (!await EndsAfterAsync(processId, Unix.SigInt, TimeSpan.FromSeconds(60), cancellation)
            && !await EndsAfterAsync(processId, Unix.SigQuit, TimeSpan.FromSeconds(20), cancellation))
            throw new HostException($"The database server of an earlier start (process {processId}) does not stop. End that process and start again.");
    }

    private static int? ReadProcessId(string pidFile)
    {
        try
        {
            return int.TryParse(File.ReadLines(pidFile).FirstOrDefault(), CultureInfo.InvariantCulture, out var id) ? id : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    [UnsupportedOSPlatform("windows")]
    private static async Task<bool> EndsAfterAsync(int processId, int signal, TimeSpan patience, CancellationToken cancellation)
    {
        Unix.Signal(processId, signal);
        // Not our child, so there is nothing to wait on; looking at it is the only way.
        for (var waited = TimeSpan.Zero; waited < patience; waited += TimeSpan.FromMilliseconds(50))
        {
            if (!Unix.IsAlive(processId))
                return true;
            await Task.Delay(50, cancellation);
        }

        return false;
    }

    private static async Task<bool> IsServerOfAsync(int processId, string cluster, CancellationToken cancellation)
    {
        if (OperatingSystem.IsLinux())
        {
            try
            {
                return new FileInfo($"/proc/{processId}/cwd").ResolveLinkTarget(returnFinalTarget: true)?.FullName == RealPath(cluster);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                return false;
            }
        }

        var ps = SearchPath.Find("ps");
        return ps is not null
            && (await Command.RunAsync(new Launch(ps, "-p", processId.ToString(CultureInfo.InvariantCulture), "-o", "command="), cancellation))
                .Output.Contains(cluster, StringComparison.Ordinal);
    }

    /// <summary>The path with every link on the way resolved, as the kernel reports working folders.</summary>
    private static string RealPath(string folder)
    {
        var path = Path.GetPathRoot(folder)!;
        foreach (var part in folder[path.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            path = Path.Combine(path, part);
            if (new DirectoryInfo(path).ResolveLinkTarget(returnFinalTarget: true) is { } target)
                path = RealPath(target.FullName);
        }

        return path;
    }
}
