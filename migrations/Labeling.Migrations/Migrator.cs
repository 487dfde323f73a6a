using System.Diagnostics;
using System.Net.Sockets;
using Labeling.Core.Data;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace Labeling.Migrations;

/// <summary>Brings a database to the present schema. Safe to start many times and from many machines at once.</summary>
public sealed class Migrator(LabelingDbContext db, NpgsqlDataSource dataSource, TextWriter output)
{
    // Any number, as long as every migrator uses the same.
    private const long AdvisoryLock = 0x4C6162656C696E67;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    /// <summary>Waits for the server, creates the database when it is missing, and applies what is pending. Answers the names of the migrations applied.</summary>
    /// <exception cref="TimeoutException">The server did not answer in time.</exception>
    public async Task<IReadOnlyList<string>> MigrateAsync(TimeSpan patience, CancellationToken cancellation)
    {
        await WaitForServerAsync(patience, cancellation);

        // The lock belongs to the session, so it is given back even when this process is killed.
        await using var session = await dataSource.OpenConnectionAsync(cancellation);
        await using (var take = new NpgsqlCommand("select pg_advisory_lock($1)", session) { CommandTimeout = 0, Parameters = { new() { Value = AdvisoryLock } } })
        {
            await take.ExecuteNonQueryAsync(cancellation);
        }

        var pending = (await db.Database.GetPendingMigrationsAsync(cancellation)).ToList();
        if (pending.Count == 0)
        {
            output.WriteLine("The database schema is up to date.");
            return pending;
        }

        db.Database.SetCommandTimeout(TimeSpan.FromHours(1));
        await db.Database.MigrateAsync(cancellation);
        foreach (var migration in pending) output.WriteLine($"Applied {migration}.");
        return pending;
    }

    private async Task WaitForServerAsync(TimeSpan patience, CancellationToken cancellation)
    {
        var waited = Stopwatch.StartNew();
        var creator = db.GetService<IRelationalDatabaseCreator>();
        while (true)
        {
            try
            {
                if (!await creator.ExistsAsync(cancellation))
                {
                    await creator.CreateAsync(cancellation);
                    output.WriteLine($"Created the database {db.Database.GetDbConnection().Database}.");
                }

                return;
            }
            catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.DuplicateDatabase or PostgresErrorCodes.UniqueViolation)
            {
                return; // another migrator created it in between
            }
            catch (Exception e) when (IsNotUpYet(e))
            {
                if (waited.Elapsed > patience)
                {
                    throw new TimeoutException($"The database server did not answer within {patience.TotalSeconds:0} seconds: {e.GetBaseException().Message}", e);
                }
            }

            await Task.Delay(Pause, cancellation);
        }
    }

    /// <summary>Refused, unreachable or still starting: worth waiting for. A wrong password or a missing role is not.</summary>
    private static bool IsNotUpYet(Exception e) => e.GetBaseException() is SocketException || (e as NpgsqlException ?? e.InnerException) is
        (NpgsqlException { IsTransient: true } and not PostgresException) or PostgresException { SqlState: PostgresErrorCodes.CannotConnectNow or PostgresErrorCodes.TooManyConnections };
}
