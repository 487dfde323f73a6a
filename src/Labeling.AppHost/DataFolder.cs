namespace Labeling.AppHost;

/// <summary>
/// The folder everything of one installation lies in: <c>postgres/</c>, <c>blobs/</c>, <c>runs/</c>, <c>logs/</c>,
/// <c>tools/</c>. Held by one host at a time.
/// </summary>
public sealed class DataFolder : IDisposable
{
    private readonly FileStream held;

    private DataFolder(string path, FileStream held)
    {
        Path = path;
        this.held = held;
    }

    public string Path { get; }

    public string Postgres => System.IO.Path.Combine(Path, "postgres");

    public string Logs => System.IO.Path.Combine(Path, "logs");

    public string Tools => System.IO.Path.Combine(Path, "tools");

    /// <summary><c>data</c> beside Labeling.sln when started from a clone, else the account's own place for application data.</summary>
    public static string Default
    {
        get
        {
            for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(System.IO.Path.Combine(folder.FullName, "Labeling.sln")))
                    return System.IO.Path.Combine(folder.FullName, "data");
            }

            return System.IO.Path.Combine(
                Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "Labeling");
        }
    }

    /// <summary>Makes the folder where it is missing, checks that it can be written to, and takes its lock.</summary>
    public static DataFolder Open(string path)
    {
        path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        if (File.Exists(path))
            throw new HostException($"{path} is a file, and the data folder must be a folder. Name another one with --data.");
        var lockFile = System.IO.Path.Combine(path, "labeling.lock");
        try
        {
            if (!Directory.Exists(path))
                Create(path);
            foreach (var name in new[] { "blobs", "runs", "logs" })
                Directory.CreateDirectory(System.IO.Path.Combine(path, name));
            CheckWritable(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new HostException($"The data folder {path} cannot be written to: {error.Message} Give this account the right to write there, or name another folder with --data.", error);
        }

        try
        {
            return new DataFolder(path, new FileStream(lockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException error)
        {
            throw new HostException($"Another Labeling already works with the data folder {path}. Stop that one first, or name another folder with --data.", error);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new HostException($"{lockFile} belongs to another account: Labeling was started there by somebody else before, perhaps by root. Start it as that account, or name another folder with --data.", error);
        }
    }

    public void Dispose() => held.Dispose();

    private static void Create(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
            return;
        }

        // Private to its owner; root's database server, which runs under another account, must be able to pass through.
        var mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        if (Environment.IsPrivilegedProcess)
            mode |= UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        if (System.IO.Path.GetDirectoryName(path) is { Length: > 0 } parent)
            Directory.CreateDirectory(parent);
        Directory.CreateDirectory(path, mode);
    }

    private static void CheckWritable(string path)
    {
        var probe = System.IO.Path.Combine(path, $".probe-{Environment.ProcessId}");
        using (new FileStream(probe, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose))
        {
            // Opening it was the question.
        }
    }
}
