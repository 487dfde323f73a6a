namespace Labeling.AppHost.Supervision;

/// <summary>Looks programs up the way a shell would.</summary>
public static class SearchPath
{
    private static readonly string[] SystemFolders = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];

    /// <summary>The full path of <paramref name="program"/>, or null where it is not installed.</summary>
    public static string? Find(string program)
    {
        var path = Environment.GetEnvironmentVariable("PATH") ?? "";
        IEnumerable<string> folders = path.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        // Services are often started with a bare PATH; Unix keeps its tools in the same places everywhere.
        if (!OperatingSystem.IsWindows())
            folders = folders.Concat(SystemFolders);
        string[] names = OperatingSystem.IsWindows() ? [program + ".exe", program + ".cmd"] : [program];
        return folders
            .SelectMany(folder => names.Select(name => Path.Combine(folder, name)))
            .FirstOrDefault(IsExecutable);
    }

    public static bool IsExecutable(string file)
    {
        if (!File.Exists(file))
            return false;
        const UnixFileMode anyExecute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        try
        {
            return OperatingSystem.IsWindows() || (File.GetUnixFileMode(file) & anyExecute) != 0;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // A link to something that is gone, as removed packages leave behind.
            return false;
        }
    }
}
