using Labeling.AppHost.Supervision;

namespace Labeling.AppHost.Postgres;

/// <summary>PostgreSQL from the packages of Debian or Ubuntu, where this process is root.</summary>
public sealed class AptPostgres(Action<string> say)
{
    /// <summary>Read by Debian's postgresql-common: without it the package would start a second, unused server.</summary>
    private const string ClusterSettings = "/etc/postgresql-common/createcluster.d/labeling.conf";

    /// <summary>False where this is not root on Debian or Ubuntu, or apt-get fails.</summary>
    public async Task<bool> InstallAsync(CancellationToken cancellation)
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess || !File.Exists("/etc/debian_version") || SearchPath.Find("apt-get") is not { } apt)
            return false;
        say("No PostgreSQL is installed here: installing the package postgresql with apt-get, once.");
        Directory.CreateDirectory(Path.GetDirectoryName(ClusterSettings)!);
        await File.WriteAllTextAsync(ClusterSettings, "create_main_cluster = false\n", cancellation);
        try
        {
            var environment = new Dictionary<string, string?> { ["DEBIAN_FRONTEND"] = "noninteractive" };
            await Command.RunAsync(new Launch(apt, "update", "-qq") { Environment = environment }, cancellation);
            var install = await Command.RunAsync(
                new Launch(apt, "install", "-y", "-qq", "--no-install-recommends", "postgresql") { Environment = environment }, cancellation);
            if (!install.Succeeded)
                say($"apt-get could not install it: {install.Tail(3)}");
            return install.Succeeded;
        }
        finally
        {
            File.Delete(ClusterSettings);
        }
    }
}
