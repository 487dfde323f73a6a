using Labeling.AppHost.Supervision;
using Npgsql;

namespace Labeling.AppHost.Postgres;

/// <summary>A running server: its address, its end, and how to stop it.</summary>
public sealed class RunningPostgres : IAsyncDisposable
{
    /// <summary>The role and the database of Labeling's programs. The role owns the database and is no superuser.</summary>
    private const string Name = "labeling";

    private static readonly TimeSpan ReadyTimeout = TimeSpan.FromMinutes(2);

    private readonly ChildProcess process;
    private readonly string cluster;
    private readonly string password;

    internal RunningPostgres(Launch launch, int port, string superuserPassword, string password, string cluster, Guard guard, Action<string> log)
    {
        this.cluster = cluster;
        this.password = password;
        Port = port;
        SuperuserConnectionString = ConnectionTo("postgres", "postgres", superuserPassword);
        ConnectionString = ConnectionTo(Name, Name, password);
        process = ChildProcess.Start(launch, guard, isDatabase: true, log);
    }

    public int Port { get; }

    /// <summary>The id of PostgreSQL's first process, the postmaster.</summary>
    public int ProcessId => process.Id;

    /// <summary>For the database <c>labeling</c>, as its owner.</summary>
    public string ConnectionString { get; }

    /// <summary>For the database <c>postgres</c>, as superuser.</summary>
    public string SuperuserConnectionString { get; }

    /// <summary>Completes when the server ends, whether it was stopped or crashed.</summary>
    public Task<int> Exited => process.Exited;

    /// <summary>The last lines of its log.</summary>
    public string LastWords => process.LastWords;

    internal bool PortWasTaken => LastWords.Contains("Address already in use", StringComparison.OrdinalIgnoreCase)
        || LastWords.Contains("could not create any TCP/IP sockets", StringComparison.Ordinal);

    /// <summary>Waits until the server answers, which after a crash includes its recovery.</summary>
    internal async Task WaitUntilReadyAsync(CancellationToken cancellation)
    {
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        giveUp.CancelAfter(ReadyTimeout);
        var ready = UntilItAnswersAsync(giveUp.Token);
        // If another program holds the port, connecting there could take for ever while our server has long ended.
        if (await Task.WhenAny(ready, Exited) == Exited)
        {
            await giveUp.CancelAsync();
            await ready.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw new HostException($"The database server {ChildProcess.Describe(await Exited)} while starting:\n{LastWords}");
        }

        try
        {
            await ready;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new HostException($"The database server did not become ready within {ReadyTimeout.TotalSeconds:0} seconds:\n{LastWords}");
        }
    }

    private async Task UntilItAnswersAsync(CancellationToken cancellation)
    {
        while (!await AnswersAsync(cancellation))
            await Task.Delay(50, cancellation);
    }

    private async Task<bool> AnswersAsync(CancellationToken cancellation)
    {
        try
        {
            await using var connection = new NpgsqlConnection(SuperuserConnectionString);
            await connection.OpenAsync(cancellation);
            return true;
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.InvalidPassword)
        {
            throw new HostException($"The database in {cluster} does not accept the password kept beside it. Put both back from the same backup.");
        }
        catch (NpgsqlException)
        {
            // Not listening yet, or still recovering.
            return false;
        }
    }

    /// <summary>Makes the role and the database of Labeling's programs where they are missing, as after an interrupted first start.</summary>
    internal async Task EnsureDatabaseAsync(CancellationToken cancellation)
    {
        await using var connection = new NpgsqlConnection(SuperuserConnectionString);
        await connection.OpenAsync(cancellation);
        if (!await ExistsAsync(connection, "select 1 from pg_roles where rolname = $1", cancellation))
            // The password is made of hexadecimal digits; CREATE ROLE takes no parameters.
            await ExecuteAsync(connection, $"create role {Name} login createdb password '{password}'", cancellation);
        if (!await ExistsAsync(connection, "select 1 from pg_database where datname = $1", cancellation))
            await ExecuteAsync(connection, $"create database {Name} owner {Name}", cancellation);
    }

    /// <summary>Stops the server in its <c>fast</c> way: open transactions are rolled back, everything committed is on disk.</summary>
    public Task StopAsync() => process.StopAsync(TimeSpan.FromSeconds(60), interrupt: true);

    /// <summary>Ends the server's processes at once, as a power cut would; the next start recovers from the write-ahead log.</summary>
    public Task KillAsync() => process.KillAsync();

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await process.DisposeAsync();
    }

    private string ConnectionTo(string database, string user, string secret) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = Port,
        Database = database,
        Username = user,
        Password = secret,
        // One pool per program; the server has room for all of them.
        MaxPoolSize = 40,
        Pooling = database == Name,
        // A server that vanished is noticed within a minute even in the middle of a silent wait.
        KeepAlive = 30,
    }.ConnectionString;

    private static async Task<bool> ExistsAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(sql, connection) { Parameters = { new() { Value = Name } } };
        return await command.ExecuteScalarAsync(cancellation) is not null;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
