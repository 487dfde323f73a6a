using System.Diagnostics;

namespace Labeling.EndToEnd.Tests.Support;

/// <summary>Finds a Chromium on this machine; as root on Debian or Ubuntu it installs one.</summary>
internal static class Chromium
{
    public static readonly string[] Arguments =
    [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ];

    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge"];

    public static async Task<string> FindAsync()
    {
        if (Environment.GetEnvironmentVariable("LABELING_CHROMIUM") is { Length: > 0 } given)
            return File.Exists(given) ? given : throw new FileNotFoundException($"LABELING_CHROMIUM names '{given}', which is not a file.");
        if (Find() is { } found) return found;
        if (OperatingSystem.IsLinux() && Environment.UserName == "root" && File.Exists("/usr/bin/apt-get"))
        {
            await RunAsync("apt-get", "update", "-qq");
            await RunAsync("apt-get", "install", "-y", "-qq", "chromium", "fonts-dejavu-core");
            if (Find() is { } installed) return installed;
        }
        throw new InvalidOperationException(
            "These tests need a Chromium browser. Install one (Debian: apt-get install chromium) or name its program in LABELING_CHROMIUM.");
    }

    private static string? Find() =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .SelectMany(folder => Names.Select(name => Path.Combine(folder, OperatingSystem.IsWindows() ? name + ".exe" : name)))
            .Append("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
            .FirstOrDefault(File.Exists);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["DEBIAN_FRONTEND"] = "noninteractive";
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        await output;
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {await errors}");
    }
}
