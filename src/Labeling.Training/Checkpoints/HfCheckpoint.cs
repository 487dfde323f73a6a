using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Training.Checkpoints;

/// <summary>Number type of weights on disk.</summary>
public enum WeightType
{
    /// <summary>float32.</summary>
    Float32,
    /// <summary>bfloat16: half the size, float32's range, 8 bits of precision.</summary>
    BFloat16,
    /// <summary>float16.</summary>
    Float16,
}

/// <summary>Writes Hugging Face model folders.</summary>
public static class HfCheckpoint
{
    /// <summary>The files of a folder that belong to its tokenizer.</summary>
    public static IReadOnlyList<string> TokenizerFiles { get; } =
        ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja"];

    static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes config.json, generation_config.json (language models), model.safetensors and copies the tokenizer files.</summary>
    /// <param name="folder">Created when missing; files in it are replaced.</param>
    /// <param name="config">The model's configuration.</param>
    /// <param name="architecture">What the weights are for.</param>
    /// <param name="weights">Tensors by Hugging Face name.</param>
    /// <param name="tokenizerFolder">Folder to copy tokenizer files from; null for none.</param>
    /// <param name="type">Number type on disk.</param>
    public static void Save(string folder, ModelConfig config, Architecture architecture, IReadOnlyDictionary<string, Tensor> weights, string? tokenizerFolder = null, WeightType type = WeightType.Float32)
    {
        Directory.CreateDirectory(folder);
        var (scalar, typeName) = type switch
        {
            WeightType.BFloat16 => (ScalarType.BFloat16, "bfloat16"),
            WeightType.Float16 => (ScalarType.Float16, "float16"),
            _ => (ScalarType.Float32, "float32"),
        };
        WriteJson(Path.Combine(folder, "config.json"), config.ToJson(architecture, typeName));
        if (architecture == Architecture.CausalLm)
        {
            WriteJson(Path.Combine(folder, "generation_config.json"), new JsonObject
            {
                ["bos_token_id"] = config.BosTokenId,
                ["eos_token_id"] = ModelConfigWriter.Eos(config),
                ["pad_token_id"] = config.PadTokenId,
            });
        }
        SafetensorsFile.Write(Path.Combine(folder, "model.safetensors"), weights, scalar);
        if (tokenizerFolder is null || Path.GetFullPath(tokenizerFolder) == Path.GetFullPath(folder)) return;
        foreach (var name in TokenizerFiles)
        {
            var source = Path.Combine(tokenizerFolder, name);
            if (File.Exists(source)) File.Copy(source, Path.Combine(folder, name), overwrite: true);
        }
    }

    internal static void WriteJson(string path, JsonObject json) => File.WriteAllText(path, json.ToJsonString(Indented) + "\n");
}

/// <summary>The weights of a Hugging Face folder, in one file or in shards.</summary>
sealed class HfWeights : IDisposable
{
    const string SingleFile = "model.safetensors";
    const string IndexFile = "model.safetensors.index.json";

    readonly List<SafetensorsFile> files = [];
    readonly Dictionary<string, SafetensorsFile> place = new(StringComparer.Ordinal);
    readonly string folder;
    readonly string prefix;
    readonly (string Embedding, string Head)? tied;

    HfWeights(string folder, ModelConfig config)
    {
        (this.folder, prefix) = (folder, DecoderLayout.Prefix(config.ModelType));
        tied = config.TieWordEmbeddings ? (DecoderLayout.TokenEmbeddingName(config.ModelType), DecoderLayout.HeadName(config.ModelType)) : null;
    }

    public static HfWeights Open(string folder, ModelConfig config)
    {
        var weights = new HfWeights(folder, config);
        try
        {
            foreach (var file in FileNames(folder)) weights.Add(SafetensorsFile.Open(Path.Combine(folder, file)));
        }
        catch
        {
            weights.Dispose();
            throw;
        }
        return weights;
    }

    public void CopyTo(string name, Tensor target)
    {
        foreach (var candidate in Candidates(name))
        {
            if (!place.TryGetValue(candidate, out var file)) continue;
            file.CopyTo(candidate, target);
            return;
        }
        throw new SafetensorsException($"{folder}: the weights hold no tensor {name}.");
    }

    /// <summary>
    /// Checkpoints of the bare body leave the prefix out, and early OPT ones its first half. Of an embedding and the head tied to it, some store
    /// only the head.
    /// </summary>
    IEnumerable<string> Candidates(string name)
    {
        yield return name;
        if (!name.StartsWith(prefix, StringComparison.Ordinal)) yield break;
        yield return name[prefix.Length..];
        if (prefix.StartsWith("model.", StringComparison.Ordinal) && prefix.Length > 6) yield return name[6..];
        if (tied is { } pair && name == pair.Embedding) yield return pair.Head;
    }

    void Add(SafetensorsFile file)
    {
        files.Add(file);
        foreach (var name in file.Entries.Keys)
            if (!place.TryAdd(name, file)) throw new SafetensorsException($"{folder}: tensor {name} is in two shards, {Path.GetFileName(place[name].Path)} and {Path.GetFileName(file.Path)}.");
    }

    static List<string> FileNames(string folder)
    {
        if (File.Exists(Path.Combine(folder, SingleFile))) return [SingleFile];
        var index = ModelConfig.ReadJson(Path.Combine(folder, IndexFile));
        if (index is null)
        {
            var pickle = Directory.Exists(folder) ? Directory.EnumerateFiles(folder).FirstOrDefault(f => Path.GetExtension(f) is ".bin" or ".pt" or ".pth") : null;
            throw new SafetensorsException($"{folder}: neither {SingleFile} nor {IndexFile} is there." + (pickle is null ? ""
                : $" {Path.GetFileName(pickle)} is a PyTorch pickle file, which can run code when opened: convert it in Python with save_pretrained(folder, safe_serialization=True)."));
        }
        if (index["weight_map"] is not JsonObject map) throw new SafetensorsException($"{folder}: {IndexFile} has no weight_map.");
        var names = new List<string>();
        foreach (var (tensor, value) in map)
        {
            var name = value is JsonValue v && v.TryGetValue<string>(out var text) ? text : throw new SafetensorsException($"{folder}: {IndexFile} names no file for tensor {tensor}.");
            // A name with a folder in it would read files that are not part of the model.
            if (Path.GetFileName(name) != name || !name.EndsWith(".safetensors", StringComparison.Ordinal))
                throw new SafetensorsException($"{folder}: {IndexFile} names {name}, which is not a .safetensors file of this folder.");
            if (!names.Contains(name)) names.Add(name);
        }
        return names;
    }

    public void Dispose()
    {
        foreach (var file in files) file.Dispose();
    }
}
