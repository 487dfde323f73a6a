using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Labeling.Training.Runs;

/// <summary>Where a run is.</summary>
/// <param name="Step">Finished steps.</param>
/// <param name="TotalSteps">All steps.</param>
/// <param name="Phase">What is going on, e.g. training.</param>
public sealed record RunProgress(int Step, int TotalSteps, string Phase);

/// <summary>The run stopped because it was asked to; a checkpoint is written and starting it again goes on from there.</summary>
public sealed class RunStoppedException(string message) : Exception(message);

/// <summary>A number became NaN or infinite; the run ends at the step where it appeared, before it can spoil a checkpoint.</summary>
public sealed class NonFiniteException(string message) : Exception(message);

/// <summary>
/// The folder that is a run: everything the trainer writes for others to read goes through here. One process at a time holds it.
/// </summary>
public sealed class RunFolder : IDisposable
{
    /// <summary>Compact JSON that keeps every script readable; the files are never embedded in HTML.</summary>
    internal static readonly JsonSerializerOptions Compact = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(200);

    private readonly FileStream held;
    private readonly StreamWriter log;
    private readonly Action<string>? onLog;
    private readonly Action<RunProgress>? onProgress;
    private readonly System.Diagnostics.Stopwatch clock = System.Diagnostics.Stopwatch.StartNew();
    private StreamWriter? metrics;
    private TimeSpan progressWritten = TimeSpan.MinValue;
    private string phase = "";

    /// <summary>Takes the folder for this process.</summary>
    /// <param name="path">Run folder with a run.json.</param>
    /// <param name="onLog">Receives each log line.</param>
    /// <param name="onProgress">Receives each progress report.</param>
    /// <param name="stop">Signalled when the run should write a checkpoint and end.</param>
    /// <exception cref="BadInputException">run.json is missing or wrong.</exception>
    /// <exception cref="IOException">Another process holds the folder.</exception>
    public RunFolder(string path, Action<string>? onLog = null, Action<RunProgress>? onProgress = null, CancellationToken stop = default)
    {
        Path = System.IO.Path.GetFullPath(path);
        Stop = stop;
        Spec = RunSpec.Read(Path);
        try
        {
            held = new FileStream(In("run.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new IOException($"Another process is training in '{Path}' (it holds run.lock).", e);
        }
        // Whoever finds the lock held can tell by this which process to end.
        using (var self = System.Diagnostics.Process.GetCurrentProcess())
        {
            WriteAtomically("run.pid", new JsonObject
            {
                ["pid"] = self.Id,
                ["started"] = self.StartTime.ToUniversalTime().ToString("O", CultureInfo.InvariantCulture),
                ["machine"] = Environment.MachineName,
            });
        }
        log = Append("log.txt");
        this.onLog = onLog;
        this.onProgress = onProgress;
    }

    /// <summary>Full path of the folder.</summary>
    public string Path { get; }

    /// <summary>What run.json says.</summary>
    public RunSpec Spec { get; }

    /// <summary>Signalled when the run should write a checkpoint and end.</summary>
    public CancellationToken Stop { get; }

    /// <summary>Folder of the checkpoints.</summary>
    public string Checkpoints => In("checkpoints");

    /// <summary>Folder of the finished model.</summary>
    public string Output => In("output");

    /// <summary>True when an earlier start already finished this run.</summary>
    public bool IsFinished => File.Exists(In("result.json"));

    /// <summary>Full path of a file in the folder.</summary>
    public string In(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>One readable line to log.txt and the terminal.</summary>
    public void Log(string message)
    {
        var line = $"{DateTime.UtcNow:yyyy-MM-ddTHH:mm:ssZ} {message}";
        log.WriteLine(line);
        log.Flush();
        onLog?.Invoke(line);
    }

    /// <summary>Rewrites progress.json; rarely more than a few times a second unless the phase changes or the end is reached.</summary>
    public void Progress(int step, int totalSteps, string phase)
    {
        onProgress?.Invoke(new RunProgress(step, totalSteps, phase));
        if (phase == this.phase && step < totalSteps && clock.Elapsed - progressWritten < ProgressInterval)
        {
            return;
        }
        this.phase = phase;
        progressWritten = clock.Elapsed;
        WriteAtomically("progress.json", new JsonObject { ["step"] = step, ["total_steps"] = totalSteps, ["phase"] = phase, ["time"] = Now() });
    }

    /// <summary>Appends one object to metrics.jsonl.</summary>
    /// <exception cref="NonFiniteException">A value is NaN or infinite.</exception>
    public void Metrics(int step, IEnumerable<KeyValuePair<string, double>> values)
    {
        var row = new JsonObject { ["step"] = step, ["time"] = Now() };
        foreach (var (name, value) in values)
        {
            row[name] = double.IsFinite(value) ? value : throw new NonFiniteException($"Step {step}: {name} is {value.ToString(CultureInfo.InvariantCulture)}. The last checkpoint before it stands; a smaller learning_rate usually helps.");
        }
        metrics ??= Append("metrics.jsonl");
        metrics.WriteLine(row.ToJsonString(Compact));
        metrics.Flush();
    }

    /// <summary>The newest value of every metric in metrics.jsonl, with steps from before a resume.</summary>
    public Dictionary<string, double> LastMetrics()
    {
        var values = new Dictionary<string, double>();
        foreach (var line in File.Exists(In("metrics.jsonl")) ? ReadShared("metrics.jsonl") : [])
        {
            foreach (var (name, value) in JsonNode.Parse(line)!.AsObject())
            {
                if (name is not ("step" or "time"))
                {
                    values[name] = value!.GetValue<double>();
                }
            }
        }
        return values;
    }

    /// <summary>Appends one object as a line to a JSONL file of the folder.</summary>
    public void AppendRows<T>(string name, IEnumerable<T> rows)
    {
        using var writer = Append(name);
        foreach (var row in rows)
        {
            writer.WriteLine(JsonSerializer.Serialize(row, Compact));
        }
    }

    /// <summary>
    /// Prepares a JSONL file for going on after <paramref name="step"/>: rows with a later step, and a last line cut off by a kill, are removed.
    /// </summary>
    public void TruncateAfter(string name, int step)
    {
        var path = In(name);
        if (!File.Exists(path))
        {
            return;
        }
        var kept = File.ReadLines(path).Where(line => StepOf(line) is { } s && s <= step).ToList();
        var temporary = path + ".new";
        File.WriteAllLines(temporary, kept, new UTF8Encoding(false));
        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>Fills output/ through a temporary folder, so that it exists only when it is complete.</summary>
    public void WriteOutput(Action<string> write)
    {
        var temporary = In("output.new");
        if (Directory.Exists(temporary))
        {
            Directory.Delete(temporary, recursive: true);
        }
        Directory.CreateDirectory(temporary);
        write(temporary);
        if (Directory.Exists(Output))
        {
            Directory.Delete(Output, recursive: true);
        }
        Directory.Move(temporary, Output);
    }

    /// <summary>Writes result.json: the run is done.</summary>
    public void Finish(int steps, IEnumerable<KeyValuePair<string, double>> final)
    {
        var numbers = new JsonObject();
        foreach (var (name, value) in final)
        {
            numbers[name] = double.IsFinite(value) ? value : throw new NonFiniteException($"The final {name} is not a number.");
        }
        File.Delete(In("error.json"));
        WriteAtomically("result.json", new JsonObject { ["metrics"] = numbers, ["steps"] = steps, ["seconds"] = Math.Round(clock.Elapsed.TotalSeconds, 3) });
    }

    /// <summary>Writes error.json; does nothing when the folder itself does not exist.</summary>
    public static void WriteError(string folder, string message, bool retryable)
    {
        if (Directory.Exists(folder))
        {
            File.WriteAllText(System.IO.Path.Combine(folder, "error.json"), new JsonObject { ["message"] = message, ["retryable"] = retryable }.ToJsonString(Compact));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        metrics?.Dispose();
        log.Dispose();
        held.Dispose();
    }

    private IEnumerable<string> ReadShared(string name)
    {
        using var reader = new StreamReader(new FileStream(In(name), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        while (reader.ReadLine() is { } line)
        {
            yield return line;
        }
    }

    private static string Now() => DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);

    private static int? StepOf(string line)
    {
        try
        {
            return JsonNode.Parse(line)?["step"]?.GetValue<int>();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    private StreamWriter Append(string name) =>
        new(new FileStream(In(name), FileMode.Append, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete), new UTF8Encoding(false));

    private void WriteAtomically(string name, JsonObject content)
    {
        var temporary = In(name + ".new");
        File.WriteAllText(temporary, content.ToJsonString(Compact));
        File.Move(temporary, In(name), overwrite: true);
    }
}
