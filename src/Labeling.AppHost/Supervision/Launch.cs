using System.Diagnostics;

namespace Labeling.AppHost.Supervision;

/// <summary>
/// A program to start: its file and its arguments, each passed as it is. No shell reads them, so paths with
/// spaces, quotes or dollar signs are safe.
/// </summary>
public sealed record Launch(string Program, params string[] Arguments)
{
    public string? WorkingDirectory { get; init; }

    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    /// <summary>The account to run under instead of root; null runs as the current account.</summary>
    public ServerAccount? Account { get; init; }

    /// <summary>
    /// Gives the program its own session, so that a Ctrl-C in the terminal reaches this process alone and it
    /// can stop the others in the right order.
    /// </summary>
    public bool OwnSession { get; init; }

    public ProcessStartInfo ToStartInfo()
    {
        string[] command = [.. SessionPrefix(), .. Account?.Prefix ?? [], Program, .. Arguments];
        var info = new ProcessStartInfo(command[0], command[1..])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = WorkingDirectory ?? (Account is null ? "" : "/"),
        };
        if (OperatingSystem.IsWindows())
            info.CreateNewProcessGroup = OwnSession;
        if (Account is not null)
            info.Environment["HOME"] = "/";
        foreach (var (name, value) in Environment)
            info.Environment[name] = value;
        return info;
    }

    private IEnumerable<string> SessionPrefix()
    {
        if (!OwnSession || OperatingSystem.IsWindows())
            return [];
        if (SearchPath.Find("setsid") is { } setsid)
            return [setsid];
        // macOS has no setsid program, but ships Perl.
        return SearchPath.Find("perl") is { } perl
            ? [perl, "-MPOSIX=setsid", "-e", "setsid(); exec { $ARGV[0] } @ARGV or die $!", "--"]
            : [];
    }
}
