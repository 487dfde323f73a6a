using System.Net;
using System.Net.Sockets;
using Labeling.AppHost.Supervision;

namespace Labeling.AppHost.Postgres;

/// <summary>
/// A PostgreSQL cluster of our own in a folder of our own. It comes into being complete or not at all: initdb fills a
/// folder beside it which is then renamed, so an interrupted first start leaves nothing that the next one could
/// mistake for a database.
/// </summary>
public sealed class PostgresCluster
{
    private readonly PostgresOptions options;
    private readonly ClusterFolder folder;
    private readonly ServerAccount? account;

    private PostgresCluster(PostgresOptions options, ClusterFolder folder, ServerAccount? account, PostgresBinaries binaries)
    {
        this.options = options;
        this.folder = folder;
        this.account = account;
        Binaries = binaries;
    }

    public PostgresBinaries Binaries { get; }

    /// <summary>PostgreSQL's own folder (its PGDATA).</summary>
    public string DataFolder => folder.Cluster;

    /// <summary>Finds or fetches PostgreSQL and makes the cluster if there is none yet. Only one process at a time may use a folder.</summary>
    public static async Task<PostgresCluster> OpenAsync(PostgresOptions options, CancellationToken cancellation)
    {
        var account = ServerAccount.ForThisProcess();
        var folder = await ClusterFolder.OpenAsync(options.Folder, account, options.Say, cancellation);
        var locator = new PostgresLocator(folder.ReachableTools(options.ToolsFolder), options.Say);
        var major = MajorVersionOf(folder.Cluster);
        var binaries = await locator.FindAsync(major, cancellation);
        var cluster = new PostgresCluster(options, folder, account, binaries);
        if (major is null)
            await cluster.InitializeAsync(cancellation);
        return cluster;
    }

    /// <summary>Starts the server on a free port of this machine's loopback address and waits until it answers.</summary>
    /// <param name="guard">Stops the server should this process die.</param>
    /// <param name="port">The port to use again after a crash; 0 picks a free one.</param>
    public async Task<RunningPostgres> StartAsync(Guard guard, int port, CancellationToken cancellation)
    {
        await StaleServer.EndAsync(folder.Cluster, options.Say, cancellation);
        for (var attempt = 1; ; attempt++)
        {
            var chosen = port != 0 ? port : FreePort();
            var server = new RunningPostgres(ServerLaunch(chosen), chosen, folder.SuperuserPassword, folder.Password, folder.Cluster, guard, options.Log);
            try
            {
                await server.WaitUntilReadyAsync(cancellation);
                await server.EnsureDatabaseAsync(cancellation);
                return server;
            }
            // Another program may take the port between our look and the server's.
            catch (HostException) when (port == 0 && server.PortWasTaken && attempt < 5)
            {
                await server.DisposeAsync();
            }
            catch
            {
                await server.DisposeAsync();
                throw;
            }
        }
    }

    private async Task InitializeAsync(CancellationToken cancellation)
    {
        options.Say($"Making a new database with PostgreSQL {Binaries.Version} in {folder.Cluster}.");
        // The role's password exists before the cluster does, so a cluster always has its passwords.
        _ = folder.Password;
        var passwordFile = folder.WriteForAccount("initdb-password", folder.SuperuserPassword);
        try
        {
            var outcome = await InitDbAsync("C.UTF-8", passwordFile, cancellation);
            // Systems without that locale (macOS, old glibc) sort the same way under C; only lower() and upper() know fewer letters there.
            if (!outcome.Succeeded && outcome.Output.Contains("locale", StringComparison.OrdinalIgnoreCase))
                outcome = await InitDbAsync("C", passwordFile, cancellation);
            if (!outcome.Succeeded)
                throw new HostException($"PostgreSQL could not make a database in {folder.Home}:\n{outcome.Tail()}");
        }
        finally
        {
            File.Delete(passwordFile);
        }
    }

    private async Task<Command.Outcome> InitDbAsync(string locale, string passwordFile, CancellationToken cancellation)
    {
        var fresh = folder.NewClusterFolder();
        List<string> arguments =
        [
            "-D", fresh, "-U", "postgres", "--pwfile=" + passwordFile, "--auth=scram-sha-256", "--encoding=UTF8",
            "--locale=" + locale, "--data-checksums", "--no-instructions",
        ];
        if (!options.SyncNewCluster)
            arguments.Add("--no-sync");
        var outcome = await Command.RunAsync(new Launch(Binaries.InitDb, [.. arguments]) { Account = account }, cancellation);
        if (outcome.Succeeded)
            Directory.Move(fresh, folder.Cluster);
        return outcome;
    }

    private Launch ServerLaunch(int port)
    {
        var settings = new Dictionary<string, string>(options.Settings)
        {
            ["listen_addresses"] = "127.0.0.1",
            ["port"] = port.ToString(System.Globalization.CultureInfo.InvariantCulture),
            // The default place for sockets is often not ours to write to.
            ["unix_socket_directories"] = "",
            ["logging_collector"] = "off",
            ["log_destination"] = "stderr",
        };
        string[] arguments = ["-D", folder.Cluster, .. settings.SelectMany(setting => new[] { "-c", $"{setting.Key}={setting.Value}" })];
        return new Launch(Binaries.Server, arguments) { Account = account };
    }

    private static int? MajorVersionOf(string cluster)
    {
        if (!Directory.Exists(cluster))
            return null;
        var version = Path.Combine(cluster, "PG_VERSION");
        if (File.Exists(version) && File.Exists(Path.Combine(cluster, "global", "pg_control")) && int.TryParse(File.ReadAllText(version), out var major))
            return major;
        throw new HostException(
            $"{cluster} is not a complete PostgreSQL cluster (PG_VERSION or global/pg_control is missing), and Labeling does not touch what it does not "
            + "understand. Put it back from a backup, or move it away to start with an empty database.");
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
