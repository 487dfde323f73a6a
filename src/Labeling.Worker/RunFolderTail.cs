using System.Text;
using System.Text.Json;
using Labeling.Core.Runs;

namespace Labeling.Worker;

/// <summary>Reads what a trainer has written to its folder since the last look: progress, metrics, the end of the log.</summary>
internal sealed class RunFolderTail(string folder)
{
    private const int LogBytes = 16_000;

    private readonly MetricsTail _metrics = new(Path.Combine(folder, "metrics.jsonl"));
    private RunProgress? _progress;
    private (long Length, DateTime Written) _log;

    /// <summary>Null when there is nothing new.</summary>
    public RunReport? Read()
    {
        var (lines, goneBackTo) = _metrics.Read();
        var progress = ReadProgress();
        var fresh = progress != _progress ? progress : null;
        _progress = progress ?? _progress;
        var log = ReadLog();
        return fresh is null && lines.Count == 0 && goneBackTo is null && log is null ? null : new(fresh, lines, goneBackTo, log);
    }

    private RunProgress? ReadProgress()
    {
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "progress.json")));
            var root = json.RootElement;
            return new(
                Math.Max(0, root.GetProperty("step").GetInt32()),
                root.TryGetProperty("total_steps", out var total) && total.ValueKind == JsonValueKind.Number ? Math.Max(0, total.GetInt32()) : null,
                root.TryGetProperty("phase", out var phase) ? Storable(phase.GetString()) : null);
        }
        catch (Exception error) when (error is IOException or JsonException or KeyNotFoundException or InvalidOperationException or FormatException or UnauthorizedAccessException)
        {
            // Not there yet; the next look will see it.
            return _progress;
        }
    }

    private string? ReadLog()
    {
        var file = new FileInfo(Path.Combine(folder, "log.txt"));
        if (!file.Exists || (file.Length, file.LastWriteTimeUtc) == _log) return null;
        try
        {
            var seen = (file.Length, file.LastWriteTimeUtc);
            using var stream = new FileStream(file.FullName, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var from = Math.Max(0, stream.Length - LogBytes);
            stream.Position = from;
            using var reader = new StreamReader(stream, Encoding.UTF8);
            var text = reader.ReadToEnd();
            // The first line may be cut.
            if (from > 0) text = text[(text.IndexOf('\n') + 1)..];
            _log = seen;
            return Storable(text.TrimEnd());
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>PostgreSQL keeps every character but this one.</summary>
    private static string? Storable(string? text) => text?.Replace('\0', '\uFFFD');
}
