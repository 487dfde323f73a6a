using System.Net;
using System.Net.Sockets;

namespace Labeling.AppHost.Tests.Hosting;

/// <summary>What a person can mend is said in one message with a way out, ends with a failure code and leaves nothing running.</summary>
public sealed class RefusalTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string Data => Path.Combine(folder.Path, "data");

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task A_port_in_use()
    {
        using var occupant = new TcpListener(IPAddress.Loopback, 0);
        occupant.Start();
        var port = ((IPEndPoint)occupant.LocalEndpoint).Port;

        await AssertRefusedAsync(HostProcess.Start(Data, port), $"Port {port} is in use by another program.", "--port");
        Assert.False(Directory.Exists(Data));
    }

    [Fact]
    public async Task A_folder_that_cannot_be_written()
    {
        // A file stands where a folder on the way should be, which stops root as well.
        var file = Path.Combine(folder.Path, "file");
        await File.WriteAllTextAsync(file, "");

        await AssertRefusedAsync(HostProcess.Start(Path.Combine(file, "data")), "cannot be written to", "--data");
    }

    [Fact]
    public async Task A_data_folder_that_is_a_file()
    {
        await File.WriteAllTextAsync(Data, "");

        await AssertRefusedAsync(HostProcess.Start(Data), $"{Data} is a file", "--data");
    }

    [Fact]
    public async Task A_second_host_on_the_same_folder()
    {
        using var held = DataFolder.Open(Data);

        await AssertRefusedAsync(HostProcess.Start(Data), "Another Labeling already works with the data folder", "--data");
    }

    [Fact]
    public async Task A_damaged_cluster_is_left_alone()
    {
        var cluster = Directory.CreateDirectory(Path.Combine(Data, "postgres", "cluster")).FullName;
        await File.WriteAllTextAsync(Path.Combine(cluster, "PG_VERSION"), "15\n");

        await AssertRefusedAsync(HostProcess.Start(Data), "is not a complete PostgreSQL cluster", "backup");
        Assert.Equal("15\n", await File.ReadAllTextAsync(Path.Combine(cluster, "PG_VERSION")));
    }

    [Fact]
    public async Task A_cluster_of_another_version()
    {
        var cluster = Directory.CreateDirectory(Path.Combine(Data, "postgres", "cluster")).FullName;
        await File.WriteAllTextAsync(Path.Combine(cluster, "PG_VERSION"), "9\n");
        Directory.CreateDirectory(Path.Combine(cluster, "global"));
        await File.WriteAllTextAsync(Path.Combine(cluster, "global", "pg_control"), "");

        await AssertRefusedAsync(HostProcess.Start(Data), "was made by PostgreSQL 9 and only that version can open it", "Install");
    }

    [Theory]
    [InlineData("Host=127.0.0.1;Port=1;Username=x;Database=x", "does not let Labeling in")]
    [InlineData("nonsense", "The connection string is not one")]
    public async Task A_connection_that_leads_nowhere(string connection, string expected)
    {
        await AssertRefusedAsync(HostProcess.Start(Data, null, "--connection", connection), expected);
    }

    [Fact]
    public async Task A_port_that_is_none()
    {
        await AssertRefusedAsync(HostProcess.Start(Data, 70000), "--port must be a number between 1 and 65535");
    }

    private static async Task AssertRefusedAsync(HostProcess started, params string[] parts)
    {
        await using var host = started;
        Assert.Equal(1, await host.WaitForExitAsync());
        foreach (var part in parts)
            Assert.Contains(part, host.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", host.Output, StringComparison.Ordinal);
    }
}
