using System.IO.Enumeration;
using System.Text.Json;
using Labeling.Core.Model;
using Labeling.Core.Storage;

namespace Labeling.Core.Features.Models;

/// <summary>A model on the disk as a Hugging Face folder, on its way into the blob store.</summary>
public static class ModelFolder
{
    // Weights in safetensors, everything else as text: no format that can carry code is ever taken in.
    private static readonly string[] Taken = [".json", ".safetensors", ".txt", ".jinja", ".md"];

    /// <summary>What keeps this folder from being a model of that kind, in words for the person who chose it; null when nothing does.</summary>
    public static string? ProblemOf(string folder, ModelKind kind)
    {
        if (!Directory.Exists(folder)) return $"The folder {folder} does not exist on the server.";
        if (Directory.GetFiles(folder, "*.safetensors").Length == 0)
            return $"{folder} has no .safetensors file. Convert the weights to safetensors; pickle files (.bin, .pt) can run code and are not read.";
        foreach (var needed in new[] { "config.json", "tokenizer.json" })
        {
            if (!File.Exists(Path.Combine(folder, needed))) return $"{folder} has no {needed}.";
        }
        try
        {
            using var config = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "config.json")));
            var scores = config.RootElement.TryGetProperty("architectures", out var names) && names.ValueKind == JsonValueKind.Array
                && names.EnumerateArray().Any(name => name.ToString().EndsWith("ForSequenceClassification", StringComparison.Ordinal));
            if (scores != (kind == ModelKind.Reward))
                return scores ? $"{folder} is a reward model by its config.json, not a policy." : $"{folder} is no reward model: its config.json names no ...ForSequenceClassification.";
        }
        catch (JsonException error)
        {
            return $"{Path.Combine(folder, "config.json")} is not valid JSON: {error.Message}";
        }
        return null;
    }

    /// <summary>Stores the folder's files and those of its subfolders, such as a merged adapter. Nothing in the database refers to them until the caller saves the answer.</summary>
    public static async Task<List<ModelFile>> StoreAsync(IBlobStore blobs, string folder, Guid modelId, CancellationToken cancel)
    {
        var files = new List<ModelFile>();
        foreach (var path in FilesOf(folder).Where(path => Taken.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase)).Order(StringComparer.Ordinal))
        {
            var blob = await blobs.PutFileAsync(Path.Combine(folder, path), cancel);
            files.Add(new() { ModelId = modelId, Path = path, Sha256 = blob.Sha256, Bytes = blob.Bytes });
        }
        return files;
    }

    /// <summary>Lays a model's files out as the folder they came from.</summary>
    /// <exception cref="InvalidDataException">A file's path leads out of the folder; nothing was written there.</exception>
    public static async Task MaterialiseAsync(IBlobStore blobs, IEnumerable<ModelFile> files, string folder, CancellationToken cancel)
    {
        var root = Path.GetFullPath(folder) + Path.DirectorySeparatorChar;
        foreach (var file in files)
        {
            var path = Path.GetFullPath(Path.Combine(root, file.Path));
            if (!path.StartsWith(root, StringComparison.Ordinal)) throw new InvalidDataException($"The model's file '{file.Path}' lies outside its folder.");
            await blobs.MaterialiseAsync(file.Sha256, path, cancel);
        }
    }

    /// <summary>Paths relative to the folder, with slashes. A linked file belongs to the folder, as in Hugging Face's cache; a linked folder may lead anywhere, and a hidden one is not the model's.</summary>
    private static FileSystemEnumerable<string> FilesOf(string folder) => new(
        folder,
        (ref FileSystemEntry entry) => Path.GetRelativePath(folder, entry.ToFullPath()).Replace('\\', '/'),
        new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0, IgnoreInaccessible = false })
    {
        ShouldIncludePredicate = (ref FileSystemEntry entry) => !entry.IsDirectory,
        ShouldRecursePredicate = (ref FileSystemEntry entry) => !entry.Attributes.HasFlag(FileAttributes.ReparsePoint) && !entry.FileName.StartsWith('.'),
    };
}
