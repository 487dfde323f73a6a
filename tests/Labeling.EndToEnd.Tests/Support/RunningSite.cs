using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;

namespace Labeling.EndToEnd.Tests.Support;

/// <summary>The whole product as a user starts it: the AppHost with its own PostgreSQL, site and worker, in a new data folder.</summary>
internal sealed partial class RunningSite : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly TaskCompletionSource<string> _setupLink = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private RunningSite(Process process, string dataFolder, Uri address)
    {
        _process = process;
        DataFolder = dataFolder;
        Address = address;
    }

    public Uri Address { get; }

    public string DataFolder { get; }

    public string Output { get { lock (_output) return _output.ToString(); } }

    /// <summary>The one-time link for the first admin that the start prints.</summary>
    public Task<string> SetupLink => _setupLink.Task;

    public static async Task<RunningSite> StartAsync()
    {
        var data = Path.Combine(Path.GetTempPath(), "labeling-e2e-" + Guid.NewGuid().ToString("N")[..8]);
        var port = FreePort();
        var program = Path.Combine(AppContext.BaseDirectory, "..", "..", "Labeling.AppHost", Path.GetFileName(AppContext.BaseDirectory.TrimEnd('/')), "Labeling.AppHost.dll");
        var start = new ProcessStartInfo("dotnet", [Path.GetFullPath(program), "--port", port.ToString(), "--data", data])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        var site = new RunningSite(new Process { StartInfo = start, EnableRaisingEvents = true }, data, new Uri($"http://localhost:{port}/"));
        site._process.OutputDataReceived += (_, e) => site.Read(e.Data);
        site._process.ErrorDataReceived += (_, e) => site.Read(e.Data);
        site._process.Exited += (_, _) => site._setupLink.TrySetException(new InvalidOperationException("The AppHost ended before it printed a set-up link:\n" + site.Output));
        site._process.Start();
        site._process.BeginOutputReadLine();
        site._process.BeginErrorReadLine();
        await site.SetupLink.WaitAsync(TimeSpan.FromMinutes(3));
        return site;
    }

    /// <summary>Kills the web server the hard way, does something while it is away, and waits until the AppHost has it up again.</summary>
    public async Task CrashWebAsync(Func<Task> meanwhile)
    {
        var web = WebProcess() ?? throw new InvalidOperationException("No web process runs.");
        var before = web.Id;
        web.Kill();
        await meanwhile();
        await WaitForAsync(() => WebProcess() is { } now && now.Id != before ? Task.FromResult(true) : Task.FromResult(false), "a new web process");
        await WaitForReadyAsync();
    }

    public Task WaitForReadyAsync()
    {
        var client = new HttpClient();
        return WaitForAsync(
            async () =>
            {
                try
                {
                    return (await client.GetAsync(new Uri(Address, "health/ready"))).IsSuccessStatusCode;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            "the site's readiness");
    }

    private Process? WebProcess() =>
        Process.GetProcesses().FirstOrDefault(p => CommandLine(p.Id) is { } line && line.Contains("Labeling.Web", StringComparison.Ordinal) && IsDescendant(p.Id));

    private bool IsDescendant(int id)
    {
        for (var current = id; current > 1; current = Parent(current))
            if (current == _process.Id) return true;
        return false;
    }

    private static int Parent(int id)
    {
        try
        {
            var stat = File.ReadAllText($"/proc/{id}/stat");
            return int.Parse(stat[(stat.LastIndexOf(')') + 4)..].Split(' ')[0]);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    private static string? CommandLine(int id)
    {
        try
        {
            return File.ReadAllText($"/proc/{id}/cmdline");
        }
        catch (IOException)
        {
            return null;
        }
    }

    private void Read(string? line)
    {
        if (line is null) return;
        lock (_output) _output.AppendLine(line);
        if (LinkPattern().Match(line) is { Success: true } match) _setupLink.TrySetResult(match.Value);
    }

    private static async Task WaitForAsync(Func<Task<bool>> condition, string what)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        while (!await condition())
        {
            if (timeout.IsCancellationRequested) throw new TimeoutException($"Waited two minutes for {what}.");
            await tick.WaitForNextTickAsync();
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            using var kill = Process.Start("kill", ["-TERM", _process.Id.ToString()]);
            await kill.WaitForExitAsync();
            try
            {
                await _process.WaitForExitAsync(new CancellationTokenSource(TimeSpan.FromSeconds(40)).Token);
            }
            catch (OperationCanceledException)
            {
                _process.Kill(entireProcessTree: true);
            }
        }
        _process.Dispose();
        try
        {
            // What the programs said stays with the screenshots: a failure is often explained there.
            var kept = Directory.CreateDirectory(Path.Combine(AppContext.BaseDirectory, "logs")).FullName;
            foreach (var log in Directory.EnumerateFiles(Path.Combine(DataFolder, "logs")))
                File.Copy(log, Path.Combine(kept, Path.GetFileName(log)), overwrite: true);
            Directory.Delete(DataFolder, recursive: true);
        }
        catch (IOException)
        {
            // A leftover in the temporary folder is no reason to fail a test.
        }
    }

    [GeneratedRegex(@"http://\S+/(setup|invite|join)[/?]\S+")]
    private static partial Regex LinkPattern();
}
