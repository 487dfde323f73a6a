using System.Globalization;
using System.Text.RegularExpressions;
using Labeling.AppHost.Supervision;

namespace Labeling.AppHost.Postgres;

/// <summary>A folder holding <c>initdb</c> and <c>postgres</c> of one version.</summary>
public sealed partial record PostgresBinaries(string Folder, int MajorVersion, string Version)
{
    /// <summary>The oldest major version Labeling's schema runs on.</summary>
    public const int OldestMajorVersion = 14;

    public string InitDb => Program(Folder, "initdb");

    public string Server => Program(Folder, "postgres");

    /// <summary>Asks the binaries in <paramref name="folder"/> for their version; null when they are missing or do not run.</summary>
    public static async Task<PostgresBinaries?> ProbeAsync(string folder, CancellationToken cancellation)
    {
        var server = Program(folder, "postgres");
        if (!SearchPath.IsExecutable(server) || !SearchPath.IsExecutable(Program(folder, "initdb")))
            return null;
        try
        {
            var outcome = await Command.RunAsync(new Launch(server, "--version"), cancellation);
            var match = VersionNumber().Match(outcome.Output);
            return outcome.Succeeded && match.Success
                ? new PostgresBinaries(folder, int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture), match.Value)
                : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    private static string Program(string folder, string name) =>
        Path.Combine(folder, OperatingSystem.IsWindows() ? name + ".exe" : name);

    [GeneratedRegex(@"(\d+)(\.\d+|beta\d+|rc\d+|devel)")]
    private static partial Regex VersionNumber();
}
