using System.Text;
using System.Text.Json;
using Labeling.Core.Runs;

namespace Labeling.Worker;

/// <summary>
/// Follows metrics.jsonl. A last line without its line end waits. A file that was cut or rewritten, because the trainer has gone back to a checkpoint, is read again
/// from the start: the last line read has to be still in its place.
/// </summary>
internal sealed class MetricsTail(string path)
{
    private long _offset;
    private byte[] _last = [];
    private bool _looked;

    /// <returns>The new lines, and the file's last step when recorded steps beyond it are not true any more.</returns>
    public (IReadOnlyList<RunMetricLine> Lines, int? GoneBackTo) Read()
    {
        if (!File.Exists(path))
        {
            // A first look at nothing: whatever an earlier attempt recorded is repeated from the start.
            var first = !_looked;
            _looked = true;
            (_offset, _last) = (0, []);
            return ([], first ? 0 : null);
        }
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var anew = !_looked || !IsStillThere(file);
        _looked = true;
        if (anew) (_offset, _last) = (0, []);
        var lines = ReadLines(file);
        return (lines, anew ? lines.Count == 0 ? 0 : lines.Max(line => line.Step) : null);
    }

    private bool IsStillThere(FileStream file)
    {
        if (file.Length < _offset) return false;
        var there = new byte[_last.Length];
        file.Position = _offset - _last.Length;
        file.ReadExactly(there);
        return there.AsSpan().SequenceEqual(_last);
    }

    private List<RunMetricLine> ReadLines(FileStream file)
    {
        file.Position = _offset;
        var fresh = new byte[file.Length - _offset];
        var end = file.ReadAtLeast(fresh, fresh.Length, throwOnEndOfStream: false);
        end = fresh.AsSpan(0, end).LastIndexOf((byte)'\n') + 1;
        var lines = new List<RunMetricLine>();
        for (var start = 0; start < end;)
        {
            var length = fresh.AsSpan(start, end - start).IndexOf((byte)'\n') + 1;
            var line = fresh.AsMemory(start, length);
            if (Parse(line) is { } metric) lines.Add(metric);
            _last = line.ToArray();
            start += length;
        }
        _offset += end;
        return lines;
    }

    private static RunMetricLine? Parse(ReadOnlyMemory<byte> line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            var root = json.RootElement;
            var step = root.GetProperty("step").GetInt32();
            if (step < 0) return null;
            using var values = new MemoryStream();
            using (var writer = new Utf8JsonWriter(values))
            {
                writer.WriteStartObject();
                foreach (var metric in root.EnumerateObject().Where(metric => metric.Name is not ("step" or "time") && metric.Value.ValueKind == JsonValueKind.Number))
                    metric.WriteTo(writer);
                writer.WriteEndObject();
            }
            return new(step, root.GetProperty("time").GetDateTimeOffset(), Encoding.UTF8.GetString(values.ToArray()));
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            // Torn by a crash of the machine; the trainer cuts such a line off when it resumes.
            return null;
        }
    }
}
