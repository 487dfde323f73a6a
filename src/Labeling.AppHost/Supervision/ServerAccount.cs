using System.Diagnostics;

namespace Labeling.AppHost.Supervision;

/// <summary>
/// The account PostgreSQL runs under when Labeling itself was started by root, because PostgreSQL refuses to
/// run as root: <c>postgres</c> where it exists, else <c>nobody</c>.
/// </summary>
public sealed record ServerAccount(string Name, int UserId, int GroupId)
{
    /// <summary>The command that changes the account and then becomes the program named after it.</summary>
    internal IReadOnlyList<string> Prefix { get; private init; } = [];

    /// <summary>The account to change to, or null where this process is not root and simply stays who it is.</summary>
    public static ServerAccount? ForThisProcess()
    {
        if (OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess)
            return null;
        foreach (var name in new[] { "postgres", "nobody" })
        {
            if (Id("-u", name) is not { } user || Id("-g", name) is not { } group)
                continue;
            if (SearchPath.Find("setpriv") is { } setpriv)
                return new ServerAccount(name, user, group)
                {
                    // Without this, capabilities of a root started by a container runtime would survive the change.
                    Prefix = [setpriv, $"--reuid={user}", $"--regid={group}", "--clear-groups", "--inh-caps=-all", "--"],
                };
            if (SearchPath.Find("runuser") is { } runuser)
                return new ServerAccount(name, user, group) { Prefix = [runuser, "-u", name, "--"] };
        }

        throw new HostException(
            "PostgreSQL refuses to run as root, and this system has no account 'postgres' or 'nobody' to run it under, or neither "
            + "'setpriv' nor 'runuser' to change to it. Install util-linux, or start Labeling as an ordinary user.");
    }

    private static int? Id(string what, string name)
    {
        if (SearchPath.Find("id") is not { } id)
            return null;
        using var process = Process.Start(new ProcessStartInfo(id, [what, name]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 && int.TryParse(output, out var number) ? number : null;
    }
}
