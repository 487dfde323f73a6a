using System.Security.Cryptography;
using Labeling.AppHost.Postgres;
using Labeling.AppHost.Supervision;
using Labeling.Core;
using Labeling.Migrations;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Labeling.Testing;

/// <summary>
/// A real PostgreSQL for tests, made by the same code that serves Labeling's users. <see cref="SharedAsync"/> is the
/// one server of the test process: fast, because it does not wait for the disk. The environment variable
/// LABELING_TEST_POSTGRES names a server to use instead (the role in it must be allowed to create databases).
/// A test process that is killed leaves nothing running, and the next one removes its files.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private static readonly Lock gate = new();
    private static Task<PostgresServer>? shared;

    private readonly string? folder;
    private readonly FileStream? folderLock;
    private readonly Guard? guard;
    private readonly PostgresCluster? cluster;
    private readonly Lazy<Task<string>> template;
    private RunningPostgres? running;
    private int databases;

    private PostgresServer(string connectionString, string? folder, FileStream? folderLock, Guard? guard, PostgresCluster? cluster, RunningPostgres? running)
    {
        ConnectionString = connectionString;
        this.folder = folder;
        this.folderLock = folderLock;
        this.guard = guard;
        this.cluster = cluster;
        this.running = running;
        template = new Lazy<Task<string>>(CreateTemplateAsync);
    }

    /// <summary>A maintenance database of this server; tests use databases of their own.</summary>
    public string ConnectionString { get; }

    private static string Root => Path.Combine(Path.GetTempPath(), $"labeling-test-postgres-{Environment.UserName}");

    /// <summary>The server all tests of this process share, started when first asked for.</summary>
    public static Task<PostgresServer> SharedAsync()
    {
        lock (gate)
        {
            return shared ??= Environment.GetEnvironmentVariable("LABELING_TEST_POSTGRES") is { Length: > 0 } given
                ? Task.FromResult(new PostgresServer(given, null, null, null, null, null))
                : StartAsync(durable: false);
        }
    }

    /// <summary>A server of the caller's own, which may be killed and started again.</summary>
    /// <param name="durable">True waits for the disk as in production, so that a crash loses nothing.</param>
    public static async Task<PostgresServer> StartAsync(bool durable = true)
    {
        SweepStale();
        var folder = Path.Combine(Root, Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6)));
        Directory.CreateDirectory(folder);
        var folderLock = TryLock(folder) ?? throw new IOException($"{folder} is in use.");
        var settings = new Dictionary<string, string> { ["max_connections"] = "300", ["shared_buffers"] = "64MB" };
        if (!durable)
        {
            settings["fsync"] = "off";
            settings["synchronous_commit"] = "off";
            settings["full_page_writes"] = "off";
            settings["autovacuum"] = "off";
        }

        var guard = new Guard();
        try
        {
            // Fetched programs are shared by all test runs of this account.
            var options = new PostgresOptions(Path.Combine(folder, "postgres"), Path.Combine(Root, "tools"))
            {
                Settings = settings,
                SyncNewCluster = durable,
                Say = Console.Error.WriteLine,
            };
            var cluster = await PostgresCluster.OpenAsync(options, CancellationToken.None);
            var running = await cluster.StartAsync(guard, 0, CancellationToken.None);
            return new PostgresServer(running.ConnectionString, folder, folderLock, guard, cluster, running);
        }
        catch
        {
            guard.Dispose();
            await folderLock.DisposeAsync();
            throw;
        }
    }

    /// <summary>A fresh database with Labeling's schema.</summary>
    public async Task<TestDatabase> CreateDatabaseAsync()
    {
        var source = await template.Value;
        var name = $"{source}_{Interlocked.Increment(ref databases)}";
        await ExecuteAsync($"create database {name} template {source}");
        return new TestDatabase(this, name);
    }

    /// <summary>Kills every process of this server at once.</summary>
    public Task KillAsync() => (running ?? throw NotOurs()).KillAsync();

    /// <summary>Starts a killed or stopped server again on the same port, so that connection strings stay valid.</summary>
    public async Task RestartAsync()
    {
        var previous = running ?? throw NotOurs();
        await previous.StopAsync();
        running = await cluster!.StartAsync(guard!, previous.Port, CancellationToken.None);
    }

    /// <summary>Stops the shared server, if any test asked for it, and removes its files.</summary>
    public static async ValueTask StopSharedAsync()
    {
        Task<PostgresServer>? current;
        lock (gate)
            (current, shared) = (shared, null);
        if (current is { IsCompletedSuccessfully: true })
            await current.Result.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (running is null)
        {
            if (template.IsValueCreated)
                await ExecuteAsync($"drop database if exists {await template.Value}");
            return;
        }

        await running.DisposeAsync();
        guard!.Dispose();
        await folderLock!.DisposeAsync();
        Directory.Delete(folder!, recursive: true);
    }

    internal string ConnectionTo(string database) => new NpgsqlConnectionStringBuilder(ConnectionString) { Database = database, Pooling = true }.ConnectionString;

    internal async Task ExecuteAsync(string sql)
    {
        // Not from a pool: a test may exhaust or break the pools.
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(ConnectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static InvalidOperationException NotOurs() =>
        new("The server of LABELING_TEST_POSTGRES belongs to somebody else: start one with PostgresServer.StartAsync to kill it.");

    private async Task<string> CreateTemplateAsync()
    {
        var name = "labeling_test_" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4));
        await ExecuteAsync($"create database {name}");
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([new($"ConnectionStrings:{LabelingCore.ConnectionStringName}", ConnectionTo(name))])
            .Build();
        // Disposing the provider closes its connections: a database with any cannot be copied.
        await using var services = new ServiceCollection().AddLabelingDatabase(configuration).BuildServiceProvider();
        await using var scope = services.CreateAsyncScope();
        await ActivatorUtilities.CreateInstance<Migrator>(scope.ServiceProvider, TextWriter.Null).MigrateAsync(TimeSpan.FromSeconds(30), CancellationToken.None);
        return name;
    }

    private static FileStream? TryLock(string folder)
    {
        try
        {
            return new FileStream(Path.Combine(folder, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Removes the folders of test processes that ended without doing it; their servers have been stopped by the guard.</summary>
    private static void SweepStale()
    {
        Directory.CreateDirectory(Root);
        foreach (var folder in Directory.GetDirectories(Root).Where(path => Path.GetFileName(path) != "tools"))
        {
            try
            {
                using var unused = TryLock(folder);
                if (unused is not null)
                    Directory.Delete(folder, recursive: true);
            }
            catch (IOException)
            {
                // Its server is still on its way out, or another process sweeps the same folder.
            }
        }
    }
}
