using Labeling.Testing;
using Npgsql;

namespace Labeling.AppHost.Tests.Postgres;

public class TestDatabaseTests
{
    [Fact]
    public async Task Two_databases_share_a_server_and_no_rows()
    {
        await using var first = await TestDatabase.CreateAsync();
        await using var second = await TestDatabase.CreateAsync();
        await using var connection = await first.OpenConnectionAsync();
        await using var other = await second.OpenConnectionAsync();

        await ExecuteAsync(connection, "create table mine (text text)");

        Assert.Equal(connection.Port, other.Port);
        var error = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(other, "select * from mine"));
        Assert.Equal(PostgresErrorCodes.UndefinedTable, error.SqlState);
    }

    [Fact]
    public async Task A_database_comes_with_the_schema()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var connection = await database.OpenConnectionAsync();

        Assert.Equal(0L, await new NpgsqlCommand("select count(*) from projects", connection).ExecuteScalarAsync());
    }

    [Fact]
    public async Task A_killed_server_comes_back_on_the_same_port_with_everything_it_acknowledged()
    {
        await using var server = await PostgresServer.StartAsync(durable: true);
        await using var database = await server.CreateDatabaseAsync();
        await using (var connection = await database.OpenConnectionAsync())
            await ExecuteAsync(connection, "create table kept as select generate_series(1, 1000) as number");

        await server.KillAsync();
        await Assert.ThrowsAnyAsync<NpgsqlException>(async () =>
        {
            await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(database.ConnectionString) { Pooling = false }.ConnectionString);
            await connection.OpenAsync();
        });
        await server.RestartAsync();

        NpgsqlConnection.ClearAllPools();
        await using var again = await database.OpenConnectionAsync();
        Assert.Equal(1000L, await new NpgsqlCommand("select count(*) from kept", again).ExecuteScalarAsync());
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
