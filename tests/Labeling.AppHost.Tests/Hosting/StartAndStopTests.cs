using System.Globalization;
using System.Net;
using Npgsql;

namespace Labeling.AppHost.Tests.Hosting;

public sealed class StartAndStopTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string Data => Path.Combine(folder.Path, "data");

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task A_first_start_serves_the_site_and_a_second_start_finds_what_was_there()
    {
        await using (var first = await HostProcess.StartReadyAsync(Data))
        {
            using var client = new HttpClient();
            using var ready = await client.GetAsync(new Uri(first.Address + "/health/ready"));
            Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
            var link = (await first.WaitForLineAsync("/setup/")).Trim();
            Assert.StartsWith(first.Address + "/setup/", link, StringComparison.Ordinal);
            Assert.Contains("You become its first admin", await client.GetStringAsync(new Uri(link)), StringComparison.Ordinal);
            Assert.Equal("Starter project", await ExecuteAsync("select name from projects"));
            Assert.True(await ExecuteAsync("select count(*) from tasks where kind = 'demonstration'") is >= 100L);
            await ExecuteAsync("create table kept as select 'written on the first day' as text");

            var started = first.Descendants();
            Assert.Contains(started.Values, command => command.Contains("Labeling.Web.dll", StringComparison.Ordinal));
            Assert.Contains(started.Values, command => command.Contains("Labeling.Worker.dll", StringComparison.Ordinal));
            Assert.Equal(0, await first.StopAsync(HostProcess.Terminate));
            await HostProcess.AssertAllEndAsync(started);
        }

        await using var second = await HostProcess.StartReadyAsync(Data);
        Assert.Equal("written on the first day", await ExecuteAsync("select text from kept"));
        await second.WaitForLineAsync("/setup/");
        Assert.Equal(1L, await ExecuteAsync("select count(*) from projects"));
        Assert.Equal(0, await second.StopAsync(HostProcess.Interrupt));
        Assert.DoesNotContain("Making a new database", second.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Killing_the_host_leaves_no_process_and_the_next_start_finds_everything()
    {
        await using (var host = await HostProcess.StartReadyAsync(Data))
        {
            await ExecuteAsync("create table kept as select 'committed' as text");
            var started = host.Descendants();
            await host.StopAsync(HostProcess.KillSignal);
            await HostProcess.AssertAllEndAsync(started);
        }

        await using var again = await HostProcess.StartReadyAsync(Data);
        Assert.Equal("committed", await ExecuteAsync("select text from kept"));
        Assert.Equal(0, await again.StopAsync());
    }

    [Fact]
    public async Task A_killed_site_and_a_killed_database_come_back_with_their_reason_shown()
    {
        await using var host = await HostProcess.StartReadyAsync(Data);
        await ExecuteAsync("create table kept as select 'committed' as text");

        var site = host.DescendantNamed("Labeling.Web.dll");
        HostProcess.Signal(site, HostProcess.KillSignal);
        Assert.Contains("was killed (SIGKILL", await host.WaitForLineAsync("The site "), StringComparison.Ordinal);
        await host.WaitForLineAsync("Starting it again");
        await AnswersAsync(host);
        Assert.NotEqual(site, host.DescendantNamed("Labeling.Web.dll"));

        HostProcess.Signal(PostmasterId(), HostProcess.KillSignal);
        Assert.Contains("was killed (SIGKILL", await host.WaitForLineAsync("The database server"), StringComparison.Ordinal);
        await host.WaitForLineAsync("The database is back");
        Assert.Equal("committed", await ExecuteAsync("select text from kept"));

        var started = host.Descendants();
        Assert.Equal(0, await host.StopAsync());
        await HostProcess.AssertAllEndAsync(started);
    }

    private static async Task AnswersAsync(HostProcess host)
    {
        using var client = new HttpClient();
        using var timeout = new CancellationTokenSource(HostProcess.Patience);
        while (true)
        {
            try
            {
                using var response = await client.GetAsync(new Uri(host.Address + "/health/ready"), timeout.Token);
                if (response.IsSuccessStatusCode)
                    return;
            }
            catch (HttpRequestException)
            {
                // The new one does not listen yet.
            }

            await Task.Delay(100, timeout.Token);
        }
    }

    private string[] PostmasterNote() => File.ReadAllLines(Path.Combine(Data, "postgres", "cluster", "postmaster.pid"));

    private int PostmasterId() => int.Parse(PostmasterNote()[0], CultureInfo.InvariantCulture);

    /// <summary>As a person would with psql: the port and password are in the data folder.</summary>
    private async Task<object?> ExecuteAsync(string sql)
    {
        var address = new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1",
            Port = int.Parse(PostmasterNote()[3], CultureInfo.InvariantCulture),
            Username = "labeling",
            Database = "labeling",
            Password = (await File.ReadAllTextAsync(Path.Combine(Data, "postgres", "password"))).Trim(),
            Pooling = false,
        };
        await using var connection = new NpgsqlConnection(address.ConnectionString);
        await connection.OpenAsync();
        return await new NpgsqlCommand(sql, connection).ExecuteScalarAsync();
    }
}
