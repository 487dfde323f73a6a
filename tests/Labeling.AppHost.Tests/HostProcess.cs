using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Labeling.AppHost.Supervision;

namespace Labeling.AppHost.Tests;

/// <summary>The built program, started as a person starts it, in a data folder of its own.</summary>
public sealed class HostProcess : IAsyncDisposable
{
    /// <summary>Generous: the machine may be busy with other tests.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    public const int Interrupt = 2, KillSignal = 9, Terminate = 15;

    private readonly Process process;
    private readonly Channel<string> lines = Channel.CreateUnbounded<string>();
    private readonly List<string> said = [];

    private HostProcess(Process process, string dataFolder, int port)
    {
        this.process = process;
        DataFolder = dataFolder;
        Port = port;
    }

    public string DataFolder { get; }

    public int Port { get; }

    public int Id => process.Id;

    public string Address => $"http://localhost:{Port}";

    public string Output
    {
        get
        {
            lock (said)
                return string.Join('\n', said);
        }
    }

    public static HostProcess Start(string dataFolder, int? port = null, params string[] more) => Start([], dataFolder, port, more);

    /// <summary>One of the program's commands, with arguments of its own.</summary>
    public static HostProcess StartCommand(string[] command, string dataFolder) => Start(command, dataFolder, null, []);

    private static HostProcess Start(string[] command, string dataFolder, int? port, string[] more)
    {
        var chosen = port ?? FreePort();
        return Start("Labeling.AppHost", [.. command, "--port", chosen.ToString(CultureInfo.InvariantCulture), "--data", dataFolder, .. more], dataFolder, chosen);
    }

    /// <summary>Another program of the same build, which is no host but is watched and ended in the same way.</summary>
    public static HostProcess StartProgram(string project, params string[] arguments) => Start(project, arguments, "", 0);

    private static HostProcess Start(string project, string[] arguments, string dataFolder, int port)
    {
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        var assembly = Path.Combine(own.Parent!.Parent!.FullName, project, own.Name, project + ".dll");
        var info = new ProcessStartInfo("dotnet", [assembly, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        info.Environment.Remove("ConnectionStrings__Labeling");
        var host = new HostProcess(new Process { StartInfo = info }, dataFolder, port);
        host.process.OutputDataReceived += host.Keep;
        host.process.ErrorDataReceived += host.Keep;
        host.process.Start();
        host.process.BeginOutputReadLine();
        host.process.BeginErrorReadLine();
        return host;
    }

    public static async Task<HostProcess> StartReadyAsync(string dataFolder, params string[] more)
    {
        var host = Start(dataFolder, null, more);
        await host.WaitForLineAsync("Labeling is ready");
        return host;
    }

    /// <summary>Waits for a line it has not waited past yet.</summary>
    public async Task<string> WaitForLineAsync(string part)
    {
        using var timeout = new CancellationTokenSource(Patience);
        try
        {
            await foreach (var line in lines.Reader.ReadAllAsync(timeout.Token))
            {
                if (line.Contains(part, StringComparison.Ordinal))
                    return line;
            }
        }
        catch (OperationCanceledException)
        {
        }

        throw new TimeoutException($"'{part}' was never said. It said:\n{Output}");
    }

    public async Task<int> WaitForExitAsync()
    {
        using var timeout = new CancellationTokenSource(Patience);
        await process.WaitForExitAsync(timeout.Token);
        return process.ExitCode;
    }

    /// <summary>As Ctrl-C or a service manager would; answers the exit code.</summary>
    public Task<int> StopAsync(int signal = Terminate)
    {
        Signal(process.Id, signal);
        return WaitForExitAsync();
    }

    public static void Signal(int processId, int signal)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no signals.");
        if (!OperatingSystem.IsWindows())
            Assert.True(Unix.Signal(processId, signal), $"There is no process {processId}.");
    }

    /// <summary>Everything this host started that lives now, directly or indirectly: id and command line.</summary>
    public IReadOnlyDictionary<int, string> Descendants()
    {
        var all = RunningProcesses();
        var found = new Dictionary<int, string>();
        var open = new Queue<int>([process.Id]);
        while (open.TryDequeue(out var parent))
        {
            foreach (var child in all.Where(entry => entry.Parent == parent && found.TryAdd(entry.Id, entry.Command)))
                open.Enqueue(child.Id);
        }

        return found;
    }

    public int DescendantNamed(string part) => Assert.Single(Descendants(), entry => entry.Value.Contains(part, StringComparison.Ordinal)).Key;

    /// <summary>Waits until none of these processes is left; fails naming the survivors.</summary>
    public static async Task AssertAllEndAsync(IReadOnlyDictionary<int, string> processes)
    {
        var waited = Stopwatch.StartNew();
        while (true)
        {
            var left = processes.Where(entry => IsRunning(entry.Key)).Select(entry => entry.Value).ToList();
            if (left.Count == 0)
                return;
            Assert.True(waited.Elapsed < TimeSpan.FromMinutes(1), "Still running: " + string.Join("; ", left));
            await Task.Delay(100);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited)
        {
            var left = Descendants();
            process.Kill();
            await process.WaitForExitAsync();
            await AssertAllEndAsync(left);
        }

        process.Dispose();
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static bool IsRunning(int processId) => RunningProcesses().Any(entry => entry.Id == processId);

    /// <summary>All processes but zombies, which have ended and only wait for their parent to take note.</summary>
    private static List<(int Id, int Parent, string Command)> RunningProcesses()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Process lists are read from /proc, which is Linux's.");
        var all = new List<(int Id, int Parent, string Command)>();
        foreach (var folder in Directory.GetDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var id))
                continue;
            try
            {
                // "<id> (<name>) <state> <parent> ..."; the name may hold anything, parentheses too.
                var status = File.ReadAllText(Path.Combine(folder, "stat"));
                var fields = status[(status.LastIndexOf(')') + 2)..].Split(' ');
                if (fields[0] != "Z")
                    all.Add((id, int.Parse(fields[1], CultureInfo.InvariantCulture), File.ReadAllText(Path.Combine(folder, "cmdline")).Replace('\0', ' ')));
            }
            catch (IOException)
            {
                // Ended while we were looking.
            }
        }

        return all;
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        if (line.Data is null)
            return;
        lock (said)
            said.Add(line.Data);
        lines.Writer.TryWrite(line.Data);
    }
}
