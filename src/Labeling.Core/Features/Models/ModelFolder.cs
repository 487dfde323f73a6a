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

    /// <summary>Stores the folder's files. Nothing in the database refers to them until the caller saves the answer.</summary>
    public static async Task<List<ModelFile>> StoreAsync(IBlobStore blobs, string folder, Guid modelId, CancellationToken cancel)
    {
        var files = new List<ModelFile>();
        foreach (var path in Directory.GetFiles(folder).Where(path => Taken.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase)).Order(StringComparer.Ordinal))
        {
            var blob = await blobs.PutFileAsync(path, cancel);
            files.Add(new() { ModelId = modelId, Path = Path.GetFileName(path), Sha256 = blob.Sha256, Bytes = blob.Bytes });
        }
        return files;
    }
}
