namespace Labeling.AppHost.Supervision;

/// <summary>A program's output in a file, each line with its time; the file before the last 16 MB is kept as <c>.1</c>.</summary>
public sealed class LogFile : IDisposable
{
    private const long Limit = 16 * 1024 * 1024;

    private readonly Lock gate = new();
    private StreamWriter? writer;

    public LogFile(string path)
    {
        Path = path;
        writer = Open();
    }

    public string Path { get; }

    public void WriteLine(string line)
    {
        lock (gate)
        {
            if (writer is null)
                return;
            writer.Write(DateTimeOffset.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.fffZ ", System.Globalization.CultureInfo.InvariantCulture));
            writer.WriteLine(line);
            if (writer.BaseStream.Length < Limit)
                return;
            writer.Dispose();
            File.Move(Path, Path + ".1", overwrite: true);
            writer = Open();
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            writer?.Dispose();
            writer = null;
        }
    }

    private StreamWriter Open() => new(new FileStream(Path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete)) { AutoFlush = true };
}
