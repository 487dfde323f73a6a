using System.Diagnostics;
using Labeling.Core;
using Labeling.Testing;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;

[assembly: AssemblyFixture(typeof(PostgresFixture))]

namespace Labeling.Migrations.Tests;

public sealed class MigrationTests
{
    /// <summary>Every table, column, constraint and index, as PostgreSQL itself tells them.</summary>
    private const string Describe =
        """
        select 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') from information_schema.columns where table_schema = 'public'
        union all select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace
        union all select 'index ' || indexdef from pg_indexes where schemaname = 'public'
        union all select 'migration ' || migration_id from "__EFMigrationsHistory"
        order by 1
        """;

    [Fact]
    public void Every_change_of_the_model_has_a_migration()
    {
        using var db = new DesignTimeFactory().CreateDbContext([]);
        Assert.False(db.Database.HasPendingModelChanges(), "The model has changed: dotnet ef migrations add <Name> in migrations/Labeling.Migrations.");
    }

    [Fact]
    public async Task The_committed_script_is_that_of_the_migrations()
    {
        using var db = new DesignTimeFactory().CreateDbContext([]);
        var current = db.GetService<IMigrator>().GenerateScript(options: MigrationsSqlGenerationOptions.Idempotent);
        var committed = await ScriptAsync();
        Assert.True(Lines(current) == Lines(committed), "Run: dotnet ef migrations script --idempotent -o ../sql/labeling.sql in migrations/Labeling.Migrations.");
    }

    [Fact]
    public async Task The_program_and_the_script_make_the_same_schema_and_both_may_run_again()
    {
        var server = await PostgresServer.SharedAsync();
        var (byProgram, byScript) = (await EmptyDatabaseAsync(server), await EmptyDatabaseAsync(server));
        try
        {
            Assert.Equal((0, true), await MigrateAsync(byProgram));
            Assert.Equal((0, false), await MigrateAsync(byProgram));
            await RunScriptAsync(byScript);
            await RunScriptAsync(byScript);
            var schema = await DescribeAsync(byProgram);
            Assert.Contains(schema, line => line.StartsWith("constraint assignments ck_assignments_slot ", StringComparison.Ordinal));
            Assert.Equal(schema, await DescribeAsync(byScript));
        }
        finally
        {
            await DropAsync(server, byProgram);
            await DropAsync(server, byScript);
        }
    }

    [Fact]
    public async Task Four_migrators_at_once_make_a_missing_database_and_migrate_it_once()
    {
        var server = await PostgresServer.SharedAsync();
        var target = With(server, $"labeling_migration_{Guid.NewGuid():n}");
        try
        {
            var results = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => MigrateAsync(target)));
            Assert.All(results, r => Assert.Equal(0, r.ExitCode));
            Assert.Single(results, r => r.Applied);
        }
        finally
        {
            await DropAsync(server, target);
        }
    }

    [Theory]
    [InlineData("Host=127.0.0.1;Port=1;Username=nobody;Database=x", 1, "did not answer within 1 seconds")]
    [InlineData("nonsense", 2, "not a PostgreSQL connection string")]
    [InlineData("", 2, "No database is configured")]
    public async Task What_cannot_work_ends_with_a_reason(string connectionString, int exitCode, string reason)
    {
        var (code, output) = await RunAsync(connectionString, "--wait", "1");
        Assert.Equal(exitCode, code);
        Assert.Contains(reason, output, StringComparison.Ordinal);
    }

    private static async Task<(int ExitCode, bool Applied)> MigrateAsync(string connectionString)
    {
        var (code, output) = await RunAsync(connectionString);
        return (code, output.Contains("Applied ", StringComparison.Ordinal));
    }

    private static async Task<(int Code, string Output)> RunAsync(string connectionString, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(Migrator).Assembly.Location, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[$"ConnectionStrings__{LabelingCore.ConnectionStringName}"] = connectionString;
        using var process = Process.Start(start)!;
        var output = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return (process.ExitCode, string.Concat(output));
    }

    private static string Lines(string script) => script.TrimStart('\uFEFF').ReplaceLineEndings("\n").Trim();

    /// <summary>Copied beside the tests at build time.</summary>
    private static Task<string> ScriptAsync() => File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "labeling.sql"));

    private static async Task RunScriptAsync(string connectionString)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var command = source.CreateCommand((await ScriptAsync()).TrimStart('\uFEFF'));
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<List<string>> DescribeAsync(string connectionString)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var command = source.CreateCommand(Describe);
        await using var reader = await command.ExecuteReaderAsync();
        var lines = new List<string>();
        while (await reader.ReadAsync()) lines.Add(reader.GetString(0));
        return lines;
    }

    private static string With(PostgresServer server, string database) => new NpgsqlConnectionStringBuilder(server.ConnectionString) { Database = database, Pooling = false }.ConnectionString;

    private static async Task<string> EmptyDatabaseAsync(PostgresServer server)
    {
        var name = $"labeling_migration_{Guid.NewGuid():n}";
        await ExecuteAsync(server, $"create database {name}");
        return With(server, name);
    }

    private static Task DropAsync(PostgresServer server, string connectionString) =>
        ExecuteAsync(server, $"drop database if exists {new NpgsqlConnectionStringBuilder(connectionString).Database} with (force)");

    private static async Task ExecuteAsync(PostgresServer server, string sql)
    {
        await using var source = NpgsqlDataSource.Create(server.ConnectionString);
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
