using System.Globalization;
using Labeling.AppHost.Postgres;
using Labeling.AppHost.Supervision;
using Npgsql;

namespace Labeling.AppHost.Tests.Postgres;

public sealed class PostgresClusterTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly Guard guard = new();

    private PostgresOptions Options => new(Path.Combine(folder.Path, "postgres"), Path.Combine(folder.Path, "tools")) { SyncNewCluster = false };

    private string Home => Options.Folder;

    public void Dispose()
    {
        guard.Dispose();
        folder.Dispose();
    }

    [Fact]
    public async Task The_cluster_is_private_checked_and_in_utf8()
    {
        var cluster = await PostgresCluster.OpenAsync(Options, CancellationToken.None);
        await using var server = await cluster.StartAsync(guard, 0, CancellationToken.None);
        await using var connection = new NpgsqlConnection(server.ConnectionString);
        await connection.OpenAsync();

        Assert.Equal("UTF8", await AskAsync(connection, "show server_encoding"));
        Assert.Equal("on", await AskAsync(connection, "show data_checksums"));
        Assert.Equal("127.0.0.1", await AskAsync(connection, "show listen_addresses"));
        Assert.Equal(false, await AskAsync(connection, "select rolsuper from pg_roles where rolname = current_user"));
        var wrong = new NpgsqlConnectionStringBuilder(server.ConnectionString) { Password = "guess", Pooling = false };
        await using var stranger = new NpgsqlConnection(wrong.ConnectionString);
        Assert.Equal(PostgresErrorCodes.InvalidPassword, (await Assert.ThrowsAsync<PostgresException>(() => stranger.OpenAsync())).SqlState);
        if (!OperatingSystem.IsWindows())
        {
            const UnixFileMode ownerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            Assert.Equal(ownerOnly, File.GetUnixFileMode(Path.Combine(Home, "password")));
            Assert.Equal(ownerOnly, File.GetUnixFileMode(Path.Combine(Home, "superuser-password")));
        }

        Assert.False(File.Exists(Path.Combine(Home, "initdb-password")));
    }

    [Fact]
    public async Task What_an_interrupted_first_start_left_is_replaced()
    {
        // As after a kill in the middle of initdb: its folder half filled, the password still lying there.
        var half = Directory.CreateDirectory(Path.Combine(Home, "cluster-new-0badc0de")).FullName;
        await File.WriteAllTextAsync(Path.Combine(half, "PG_VERSION"), "15\n");
        await File.WriteAllTextAsync(Path.Combine(Home, "initdb-password"), "left over");

        var cluster = await PostgresCluster.OpenAsync(Options, CancellationToken.None);
        await using var server = await cluster.StartAsync(guard, 0, CancellationToken.None);

        Assert.False(Directory.Exists(half));
        Assert.False(File.Exists(Path.Combine(Home, "initdb-password")));
    }

    [Fact]
    public async Task A_first_start_killed_while_initdb_runs_is_made_good_by_the_next()
    {
        using (var cancellation = new CancellationTokenSource())
        {
            var opening = PostgresCluster.OpenAsync(Options, cancellation.Token);
            while (!Directory.Exists(Home) || Directory.GetFiles(Home, "PG_VERSION", SearchOption.AllDirectories).Length == 0)
            {
                Assert.False(opening.IsCompleted, "initdb was done before it could be interrupted");
                await Task.Delay(5);
            }

            await cancellation.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening);
        }

        Assert.False(Directory.Exists(Path.Combine(Home, "cluster")));
        var cluster = await PostgresCluster.OpenAsync(Options, CancellationToken.None);
        await using var server = await cluster.StartAsync(guard, 0, CancellationToken.None);
        await using var connection = new NpgsqlConnection(server.ConnectionString);
        await connection.OpenAsync();
    }

    [Fact]
    public async Task A_pid_file_that_now_names_a_stranger_does_not_stand_in_the_way()
    {
        var cluster = await PostgresCluster.OpenAsync(Options, CancellationToken.None);
        await using (var server = await cluster.StartAsync(guard, 0, CancellationToken.None))
            await server.KillAsync();
        var pidFile = Path.Combine(cluster.DataFolder, "postmaster.pid");
        var note = await File.ReadAllLinesAsync(pidFile);
        note[0] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        await File.WriteAllLinesAsync(pidFile, note);

        await using var again = await cluster.StartAsync(guard, 0, CancellationToken.None);

        Assert.False(again.Exited.IsCompleted);
    }

    [Fact]
    public async Task A_server_left_running_is_stopped_and_followed_by_a_new_one()
    {
        var cluster = await PostgresCluster.OpenAsync(Options, CancellationToken.None);
        var abandoned = await cluster.StartAsync(guard, 0, CancellationToken.None);

        await using var server = await cluster.StartAsync(guard, 0, CancellationToken.None);

        Assert.Equal(0, await abandoned.Exited);
        await using var connection = new NpgsqlConnection(server.ConnectionString);
        await connection.OpenAsync();
    }

    [Fact]
    public async Task A_taken_port_is_reported_with_the_servers_own_words()
    {
        var cluster = await PostgresCluster.OpenAsync(Options, CancellationToken.None);
        using var occupant = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        occupant.Start();
        var port = ((System.Net.IPEndPoint)occupant.LocalEndpoint).Port;

        var error = await Assert.ThrowsAsync<HostException>(() => cluster.StartAsync(guard, port, CancellationToken.None));

        Assert.Contains("Address already in use", error.Message, StringComparison.Ordinal);
    }

    private static async Task<object?> AskAsync(NpgsqlConnection connection, string sql) => await new NpgsqlCommand(sql, connection).ExecuteScalarAsync();
}
