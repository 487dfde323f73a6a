using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Labeling.AppHost.Postgres;
using Labeling.AppHost.Supervision;
using Npgsql;

namespace Labeling.AppHost;

/// <summary>
/// Everything of Labeling on one machine: the database, then the migrator to its end, then the site and the worker,
/// kept running until stopped in the opposite order.
/// </summary>
public sealed class LabelingHost : IAsyncDisposable
{
    private static readonly TimeSpan ReadyTimeout = TimeSpan.FromMinutes(2);

    /// <summary>The worker needs it to let a training process write its last checkpoint.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(40);

    private readonly HostOptions options;
    private readonly Screen screen;
    private readonly Guard guard = new();
    private readonly CancellationTokenSource stopping = new();
    private readonly List<LogFile> logs = [];
    private readonly List<Task> services = [];
    private DataFolder? data;
    private OwnDatabase? database;
    private bool disposed;

    private LabelingHost(HostOptions options, Screen screen)
    {
        this.options = options;
        this.screen = screen;
    }

    /// <summary>The site's address, without a slash at the end.</summary>
    public string Address => $"http://localhost:{options.Port}";

    public string DataFolder => data!.Path;

    public string ConnectionString { get; private set; } = "";

    /// <summary>The address at which the first person becomes the admin; it works once, and earlier ones no longer. Null once anybody has an account.</summary>
    public string? SetupLink { get; private set; }

    /// <summary>In words: which PostgreSQL, and where its files are.</summary>
    public string DatabaseDescription => database is null ? "the PostgreSQL you named" : $"PostgreSQL {database.Version} in {database.Folder}";

    public string LogFolder => data!.Logs;

    /// <summary>Starts everything and waits until the site is ready to serve.</summary>
    /// <exception cref="HostException">Something that the person can mend stands in the way. Nothing is left running.</exception>
    public static async Task<LabelingHost> StartAsync(HostOptions options, Screen screen, CancellationToken cancellation)
    {
        var host = new LabelingHost(options, screen);
        try
        {
            await host.StartAsync(cancellation);
            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    private async Task StartAsync(CancellationToken cancellation)
    {
        CheckPort(options.Port);
        data = AppHost.DataFolder.Open(options.DataFolder);
        if (options.ConnectionString is { } given)
        {
            await CheckConnectionAsync(given, cancellation);
            ConnectionString = given;
        }
        else
        {
            var postgres = new PostgresOptions(data.Postgres, data.Tools) { Say = text => screen.Line(text), Log = LogTo("postgres", "postgres") };
            database = await OwnDatabase.StartAsync(postgres, guard, cancellation);
            ConnectionString = database.ConnectionString;
        }

        var settings = new Dictionary<string, string?>
        {
            ["ConnectionStrings__Labeling"] = ConnectionString,
            ["Labeling__DataFolder"] = data.Path,
            // Beside the guard, and where there is none: site and worker stop by themselves when this process is gone.
            ["Labeling__ParentPid"] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture),
        };
        await MigrateAsync(settings, cancellation);
        await PrepareForFirstPersonAsync(cancellation);
        Keep("worker", Programs.Worker, settings);
        var web = Keep("web", Programs.Web, new(settings) { ["ASPNETCORE_URLS"] = Address });
        await WaitUntilReadyAsync(web, cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        if (disposed)
            return;
        disposed = true;
        await stopping.CancelAsync();
        await Task.WhenAll(services);
        if (database is not null)
            await database.DisposeAsync();
        guard.Dispose();
        foreach (var log in logs)
            log.Dispose();
        data?.Dispose();
        stopping.Dispose();
    }

    private Service Keep(string name, string project, Dictionary<string, string?> environment)
    {
        var service = new Service(name == "web" ? "site" : name, Programs.Launch(project, environment), guard, screen.Warn, LogTo(name, name));
        services.Add(service.RunAsync(Grace, stopping.Token));
        return service;
    }

    private async Task MigrateAsync(Dictionary<string, string?> settings, CancellationToken cancellation)
    {
        await using var migrator = ChildProcess.Start(Programs.Launch(Programs.Migrator, settings), guard, isDatabase: false, LogTo("migrator", "migrator"));
        var exitCode = await migrator.Exited.WaitAsync(cancellation);
        if (exitCode != 0)
            throw new HostException($"The database could not be brought up to date: the migrator {ChildProcess.Describe(exitCode)}.\n{migrator.LastWords}");
    }

    private async Task PrepareForFirstPersonAsync(CancellationToken cancellation)
    {
        await using var installation = new Installation(ConnectionString, DataFolder);
        if (await installation.InviteFirstAdminAsync(cancellation) is not { } invitation)
            return;
        SetupLink = $"{Address}/setup/{invitation.Token}";
        await installation.SeedStarterProjectAsync(cancellation);
    }

    private async Task WaitUntilReadyAsync(Service web, CancellationToken cancellation)
    {
        // The site is on this machine: a proxy of the environment has no part in it.
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(10) };
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timeout.CancelAfter(ReadyTimeout);
        var ready = AnswersAsync(client, timeout.Token);
        if (await Task.WhenAny(ready, web.FirstEnd) == web.FirstEnd)
            throw new HostException(await web.FirstEnd);
        try
        {
            await ready;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new HostException($"The site did not become ready within {ReadyTimeout.TotalSeconds:0} seconds. What it wrote is in {Path.Combine(LogFolder, "web.log")}.");
        }
    }

    private async Task AnswersAsync(HttpClient client, CancellationToken cancellation)
    {
        while (true)
        {
            try
            {
                using var response = await client.GetAsync(new Uri($"{Address}/health/ready"), cancellation);
                if (response.IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }

            await Task.Delay(100, cancellation);
        }
    }

    private Action<string> LogTo(string file, string prefix)
    {
        var log = new LogFile(Path.Combine(data!.Logs, file + ".log"));
        logs.Add(log);
        return line =>
        {
            log.WriteLine(line);
            if (options.Verbose)
                screen.Line($"{prefix,-8} | {line}");
        };
    }

    /// <summary>Looks before anything is started; whoever takes the port later is reported through the site's own end.</summary>
    private static void CheckPort(int port)
    {
        foreach (var address in new[] { IPAddress.Loopback, IPAddress.IPv6Loopback })
        {
            using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(address, port));
                socket.Listen();
            }
            catch (SocketException error) when (error.SocketErrorCode is SocketError.AddressAlreadyInUse)
            {
                throw new HostException($"Port {port} is in use by another program. Stop that program, or choose another port, for example: --port {(port < 65535 ? port + 1 : 8080)}", error);
            }
            catch (SocketException error) when (error.SocketErrorCode is SocketError.AccessDenied)
            {
                throw new HostException($"This account may not use port {port}. Choose one above 1023: --port 8080", error);
            }
            catch (SocketException error) when (error.SocketErrorCode is SocketError.AddressNotAvailable or SocketError.AddressFamilyNotSupported)
            {
                // No IPv6 here.
            }
        }
    }

    private static async Task CheckConnectionAsync(string connectionString, CancellationToken cancellation)
    {
        try
        {
            await using var connection = new NpgsqlConnection(connectionString);
            await connection.OpenAsync(cancellation);
        }
        catch (ArgumentException error)
        {
            throw new HostException($"The connection string is not one: {error.Message} Write it like this: --connection \"Host=localhost;Database=labeling;Username=labeling;Password=...\"", error);
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.InvalidCatalogName)
        {
            // The migrator makes a missing database.
        }
        catch (NpgsqlException error)
        {
            throw new HostException($"The PostgreSQL server named by the connection string does not let Labeling in: {error.Message}", error);
        }
    }
}
