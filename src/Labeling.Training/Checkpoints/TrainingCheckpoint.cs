using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace Labeling.Training.Checkpoints;

/// <summary>
/// Everything a run needs to go on: named tensors (weights, moments, ...) and a JSON object (step, schedule, data position, ...).
/// A checkpoint is a folder <c>step-N</c>, complete from the moment it has that name: it is written beside, flushed and hashed
/// first, so a kill or a full disk at any byte leaves the checkpoints before it as they were.
/// </summary>
public sealed partial class TrainingCheckpoint : IDisposable
{
    const string TensorFile = "tensors.safetensors";
    const string StateFile = "state.json";
    const string ManifestFile = "manifest.json";
    const string FolderPrefix = "step-";
    const string TemporaryPrefix = ".writing-";
    const string ReplacedPrefix = ".replaced-";

    readonly SafetensorsFile tensors;

    TrainingCheckpoint(long step, string folder, JsonObject state, SafetensorsFile tensors) =>
        (Step, Folder, State, this.tensors) = (step, folder, state, tensors);

    /// <summary>Training step the checkpoint was written after.</summary>
    public long Step { get; }

    /// <summary>The checkpoint's folder.</summary>
    public string Folder { get; }

    /// <summary>The state object as it was written.</summary>
    public JsonObject State { get; }

    /// <summary>Names of the tensors.</summary>
    public IEnumerable<string> TensorNames => tensors.Entries.Keys;

    /// <summary>Writes a checkpoint and then removes old ones.</summary>
    /// <param name="folder">The run's checkpoints folder; created when missing.</param>
    /// <param name="step">Training step, part of the name; an existing checkpoint of the same step is replaced.</param>
    /// <param name="tensors">Tensors by name; stored in their own number types.</param>
    /// <param name="state">Everything else.</param>
    /// <param name="keep">How many complete checkpoints stay; at least 1.</param>
    /// <returns>The new checkpoint's folder.</returns>
    /// <exception cref="IOException">The disk is full or not writable; earlier checkpoints are untouched.</exception>
    public static string Save(string folder, long step, IEnumerable<KeyValuePair<string, Tensor>> tensors, JsonObject state, int keep = 2)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        ArgumentOutOfRangeException.ThrowIfLessThan(keep, 1);
        Directory.CreateDirectory(folder);
        Recover(folder);
        foreach (var leftover in Directory.EnumerateDirectories(folder, TemporaryPrefix + "*")) Directory.Delete(leftover, recursive: true);

        var name = FolderPrefix + step.ToString(CultureInfo.InvariantCulture);
        var temporary = Path.Combine(folder, TemporaryPrefix + name);
        var target = Path.Combine(folder, name);
        Directory.CreateDirectory(temporary);
        SafetensorsFile.Write(Path.Combine(temporary, TensorFile), tensors);
        WriteFlushed(Path.Combine(temporary, StateFile), state.ToJsonString());
        var hashes = new JsonObject();
        foreach (var file in new[] { TensorFile, StateFile }) hashes[file] = Hash(Path.Combine(temporary, file));
        WriteFlushed(Path.Combine(temporary, ManifestFile), new JsonObject { ["schema"] = 1, ["step"] = step, ["sha256"] = hashes }.ToJsonString());
        FlushFolder(temporary);

        if (Directory.Exists(target))
        {
            // Renaming cannot replace a folder with files in it; the old one steps aside, and a kill before the new one has the name brings it back.
            var aside = Path.Combine(folder, ReplacedPrefix + name);
            Directory.Move(target, aside);
            Directory.Move(temporary, target);
            Directory.Delete(aside, recursive: true);
        }
        else
        {
            Directory.Move(temporary, target);
        }
        FlushFolder(folder);
        RemoveOld(folder, keep);
        return target;
    }

    /// <summary>Opens the newest checkpoint whose files have the hashes of its manifest.</summary>
    /// <param name="folder">The run's checkpoints folder; it need not exist.</param>
    /// <param name="warn">Told about each newer checkpoint that was passed over and why.</param>
    /// <returns>Null when there is no valid checkpoint.</returns>
    public static TrainingCheckpoint? OpenNewest(string folder, Action<string>? warn = null)
    {
        Recover(folder);
        foreach (var (step, path) in Complete(folder))
        {
            if (Damage(path) is { } damage)
            {
                warn?.Invoke($"checkpoint {Path.GetFileName(path)} is damaged and was passed over: {damage}");
                continue;
            }
            try
            {
                var state = (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(path, StateFile)))!;
                return new TrainingCheckpoint(step, path, state, SafetensorsFile.Open(Path.Combine(path, TensorFile)));
            }
            catch (Exception e) when (e is JsonException or InvalidCastException or SafetensorsException or IOException)
            {
                warn?.Invoke($"checkpoint {Path.GetFileName(path)} cannot be read and was passed over: {e.Message}");
            }
        }
        return null;
    }

    /// <summary>Copies stored values into live tensors.</summary>
    /// <param name="targets">Tensors by the names they were saved under; each must be in the checkpoint with its shape.</param>
    /// <param name="prefix">Put before each name, for example <c>policy/</c>.</param>
    /// <exception cref="SafetensorsException">A tensor is missing or has another shape.</exception>
    public void CopyTo(IEnumerable<KeyValuePair<string, Tensor>> targets, string prefix = "")
    {
        foreach (var (name, tensor) in targets) tensors.CopyTo(prefix + name, tensor);
    }

    /// <summary>Reads one tensor into new memory.</summary>
    /// <param name="name">Its name.</param>
    /// <exception cref="SafetensorsException">No such tensor.</exception>
    public Tensor Read(string name) => tensors.Read(name);

    /// <inheritdoc/>
    public void Dispose() => tensors.Dispose();

    /// <summary>Ends a replacement that a kill cut in two: the old checkpoint gets its name back unless the new one has it.</summary>
    static void Recover(string folder)
    {
        foreach (var aside in Directory.Exists(folder) ? Directory.GetDirectories(folder, ReplacedPrefix + "*") : [])
        {
            var target = Path.Combine(folder, Path.GetFileName(aside)[ReplacedPrefix.Length..]);
            if (Directory.Exists(target)) Directory.Delete(aside, recursive: true);
            else Directory.Move(aside, target);
        }
    }

    static List<(long Step, string Path)> Complete(string folder)
    {
        if (!Directory.Exists(folder)) return [];
        return [.. Directory.EnumerateDirectories(folder, FolderPrefix + "*")
            .Select(path => (Ok: long.TryParse(Path.GetFileName(path)[FolderPrefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var step), step, path))
            .Where(c => c.Ok).Select(c => (c.step, c.path)).OrderByDescending(c => c.step)];
    }

    /// <summary>Removes all but the newest; a damaged one neither counts nor stays, unless nothing valid is left beside it.</summary>
    static void RemoveOld(string folder, int keep)
    {
        var valid = 0;
        foreach (var (_, path) in Complete(folder))
        {
            if (valid < keep && Damage(path) is null)
            {
                valid++;
                continue;
            }
            if (valid > 0) Directory.Delete(path, recursive: true);
        }
    }

    static string? Damage(string path)
    {
        try
        {
            var manifest = JsonNode.Parse(File.ReadAllText(Path.Combine(path, ManifestFile))) as JsonObject;
            if (manifest?["schema"]?.GetValue<int>() != 1) return $"{ManifestFile} is not of schema 1";
            if (FolderPrefix + manifest["step"]?.ToJsonString() != Path.GetFileName(path)) return $"{ManifestFile} is of step {manifest["step"]?.ToJsonString()}";
            if (manifest["sha256"] is not JsonObject hashes || hashes.Count == 0) return $"{ManifestFile} has no sha256";
            foreach (var (file, expected) in hashes)
            {
                if (Path.GetFileName(file) != file) return $"{ManifestFile} names {file}, which is not a file of this folder";
                if (Hash(Path.Combine(path, file)) != expected?.GetValue<string>()) return $"{file} does not have the hash of {ManifestFile}";
            }
            return hashes.ContainsKey(TensorFile) && hashes.ContainsKey(StateFile) ? null : $"{ManifestFile} does not name {TensorFile} and {StateFile}";
        }
        catch (Exception e) when (e is IOException or JsonException or UnauthorizedAccessException or InvalidOperationException or FormatException)
        {
            return e.Message;
        }
    }

    static string Hash(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 20, FileOptions.SequentialScan);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    static void WriteFlushed(string path, string text)
    {
        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None);
        stream.Write(System.Text.Encoding.UTF8.GetBytes(text));
        stream.Flush(flushToDisk: true);
    }

    /// <summary>Makes new names in a folder survive a power cut; .NET opens no folders, so this asks the C library.</summary>
    static void FlushFolder(string folder)
    {
        if (OperatingSystem.IsWindows()) return;
        var descriptor = OpenFile(folder, 0);
        if (descriptor < 0) return;
        _ = FlushFile(descriptor);
        _ = CloseFile(descriptor);
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int FlushFile(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int CloseFile(int descriptor);
}
