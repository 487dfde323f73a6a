using System.Security.Cryptography;
using System.Text.Json;

namespace Labeling.Training.Runs;

/// <summary>A data file of a run.</summary>
/// <param name="Path">Full path.</param>
/// <param name="Split">train, valid, or what the stage knows besides.</param>
/// <param name="Weight">Share of the training text relative to the other files' weights; null when files are mixed by their size.</param>
public sealed record DataFile(string Path, string Split, double? Weight = null);

/// <summary>A policy that a sampling run asks for answers.</summary>
/// <param name="Id">The caller's name of the model.</param>
/// <param name="Path">Full path of its Hugging Face folder.</param>
public sealed record SampledModel(string Id, string Path);

/// <summary>
/// run.json, schema 1, read strictly: a key that is not known is a mistake, not an extension. Paths in it are relative to the run folder.
/// </summary>
public sealed class RunSpec
{
    private static readonly string[] Keys =
        ["schema", "run_id", "stage", "seed", "threads", "base", "reward_model", "tokenizer", "models", "data", "hyperparameters"];

    private JsonElement? hyperparameters;

    /// <summary>Name of the run, for the log only.</summary>
    public string RunId { get; private init; } = "";

    /// <summary>Stage name.</summary>
    public string Stage { get; private init; } = "";

    /// <summary>Seed of all randomness of the run.</summary>
    public long Seed { get; private init; }

    /// <summary>Threads of matrix work; 0 = one per core.</summary>
    public int Threads { get; private init; }

    /// <summary>Full path of the base model's folder, or null.</summary>
    public string? Base { get; private init; }

    /// <summary>Full path of the reward model's folder, or null.</summary>
    public string? RewardModel { get; private init; }

    /// <summary>Full path of a tokenizer folder, or null.</summary>
    public string? Tokenizer { get; private init; }

    /// <summary>Models to sample from.</summary>
    public IReadOnlyList<SampledModel> Models { get; private init; } = [];

    /// <summary>Data files.</summary>
    public IReadOnlyList<DataFile> Data { get; private init; } = [];

    /// <summary>Path of run.json itself.</summary>
    public string File { get; private init; } = "";

    /// <summary>Reads and checks run.json, including that every data file is the one it names (hash, rows).</summary>
    /// <exception cref="BadInputException">Anything missing, unknown, of the wrong type or not matching; names file and key.</exception>
    public static RunSpec Read(string folder)
    {
        var file = System.IO.Path.Combine(folder, "run.json");
        if (!System.IO.File.Exists(file))
        {
            throw new BadInputException(Directory.Exists(folder)
                ? $"The run folder '{folder}' has no run.json; write one naming stage and data (see labeling-train --help)."
                : $"The run folder '{folder}' does not exist.");
        }
        try
        {
            using var document = JsonDocument.Parse(System.IO.File.ReadAllBytes(file), new JsonDocumentOptions { AllowDuplicateProperties = false });
            var root = document.RootElement.Clone();
            return root.ValueKind == JsonValueKind.Object ? FromJson(root, folder, file) : throw new BadInputException($"{file} must hold a JSON object.");
        }
        catch (JsonException e)
        {
            throw new BadInputException($"{file} is not valid JSON: {e.Message}", e);
        }
    }

    /// <summary>The stage's hyperparameters with their defaults.</summary>
    public T Hyperparameters<T>()
        where T : new() => Runs.Hyperparameters.Read<T>(hyperparameters, File);

    /// <summary>The data files of a split.</summary>
    public IReadOnlyList<string> DataOf(string split) => [.. Data.Where(d => d.Split == split).Select(d => d.Path)];

    /// <summary>The base model's folder.</summary>
    /// <exception cref="BadInputException">run.json names none.</exception>
    public string RequireBase() => Base ?? throw new BadInputException($"{File}: stage '{Stage}' needs 'base', the folder of the model to start from.");

    private static RunSpec FromJson(JsonElement root, string folder, string file)
    {
        foreach (var entry in root.EnumerateObject())
        {
            if (!Keys.Contains(entry.Name))
            {
                throw new BadInputException($"{file}: unknown key '{entry.Name}'; {Nearest.Hint(entry.Name, Keys)}.");
            }
        }
        var schema = Number(root, "schema", file) ?? throw new BadInputException($"{file}: 'schema' is missing; this version reads schema 1.");
        if (schema != 1)
        {
            throw new BadInputException($"{file}: 'schema' is {schema}; this version reads schema 1.");
        }
        var stage = Text(root, "stage", file) ?? throw new BadInputException($"{file}: 'stage' is missing; one of {string.Join(", ", Stages.Names)}.");
        if (!Stages.Names.Contains(stage))
        {
            throw new BadInputException($"{file}: unknown stage '{stage}'; {Nearest.Hint(stage, Stages.Names)}.");
        }
        var threads = Number(root, "threads", file) ?? 0;
        if (threads is < 0 or > 1024)
        {
            throw new BadInputException($"{file}: 'threads' is {threads}; the nearest valid value is {(threads < 0 ? 0 : 1024)} (0 = all).");
        }
        return new RunSpec
        {
            File = file,
            RunId = Text(root, "run_id", file) ?? "",
            Stage = stage,
            Seed = Number(root, "seed", file) ?? 0,
            Threads = (int)threads,
            Base = ModelFolder(root, "base", folder, file),
            RewardModel = ModelFolder(root, "reward_model", folder, file),
            Tokenizer = ModelFolder(root, "tokenizer", folder, file),
            Models = ReadModels(root, folder, file),
            Data = ReadData(root, folder, file, stage),
            hyperparameters = root.TryGetProperty("hyperparameters", out var h) && h.ValueKind != JsonValueKind.Null ? h : null,
        };
    }

    private static string? Text(JsonElement element, string key, string file)
    {
        if (!element.TryGetProperty(key, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }
        return value.ValueKind == JsonValueKind.String ? value.GetString() : throw new BadInputException($"{file}: '{key}' must be text.");
    }

    private static long? Number(JsonElement element, string key, string file)
    {
        if (!element.TryGetProperty(key, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? number : throw new BadInputException($"{file}: '{key}' must be a whole number.");
    }

    private static string? ModelFolder(JsonElement element, string key, string folder, string file)
    {
        if (Text(element, key, file) is not { } path)
        {
            return null;
        }
        var full = Path.GetFullPath(Path.Combine(folder, path));
        return Directory.Exists(full) ? full : throw new BadInputException($"{file}: '{key}' names the folder '{path}', which does not exist.");
    }

    private static JsonElement.ArrayEnumerator Items(JsonElement root, string key, string file, string[] known)
    {
        if (!root.TryGetProperty(key, out var list) || list.ValueKind == JsonValueKind.Null)
        {
            return default;
        }
        if (list.ValueKind != JsonValueKind.Array || list.EnumerateArray().Any(e => e.ValueKind != JsonValueKind.Object))
        {
            throw new BadInputException($"{file}: '{key}' must be a list of objects.");
        }
        foreach (var name in list.EnumerateArray().SelectMany(e => e.EnumerateObject()).Select(p => p.Name))
        {
            if (!known.Contains(name))
            {
                throw new BadInputException($"{file}: unknown key '{name}' in '{key}'; {Nearest.Hint(name, known)}.");
            }
        }
        return list.EnumerateArray();
    }

    private static List<SampledModel> ReadModels(JsonElement root, string folder, string file)
    {
        var models = new List<SampledModel>();
        foreach (var entry in Items(root, "models", file, ["id", "path"]))
        {
            var path = ModelFolder(entry, "path", folder, file) ?? throw new BadInputException($"{file}: models[{models.Count}] has no 'path'.");
            var id = Text(entry, "id", file) ?? throw new BadInputException($"{file}: models[{models.Count}] has no 'id'.");
            models.Add(models.All(m => m.Id != id) ? new SampledModel(id, path) : throw new BadInputException($"{file}: the model id '{id}' is used twice in 'models'."));
        }
        return models;
    }

    private static string[] Splits(string stage) => stage switch
    {
        "sft" or "ppo" => ["train", "valid", "pretrain"],
        "filter" => ["train", "good"],
        _ => ["train", "valid"],
    };

    private static List<DataFile> ReadData(JsonElement root, string folder, string file, string stage)
    {
        var files = new List<DataFile>();
        foreach (var entry in Items(root, "data", file, ["path", "split", "sha256", "rows", "weight"]))
        {
            var path = Text(entry, "path", file) ?? throw new BadInputException($"{file}: data[{files.Count}] has no 'path'.");
            var split = Text(entry, "split", file) ?? "train";
            if (!Splits(stage).Contains(split))
            {
                throw new BadInputException($"{file}: the split of '{path}' is '{split}'; {Nearest.Hint(split, Splits(stage))}.");
            }
            var full = Path.GetFullPath(Path.Combine(folder, path));
            if (!System.IO.File.Exists(full))
            {
                throw new BadInputException($"{file}: the data file '{path}' does not exist.");
            }
            CheckContent(full, path, Text(entry, "sha256", file), Number(entry, "rows", file), file);
            files.Add(new DataFile(full, split, Weight(entry, path, stage, split, file)));
        }
        var train = files.Where(f => f.Split == "train").ToList();
        return train.Any(f => f.Weight is not null) && train.Find(f => f.Weight is null) is { } without
            ? throw new BadInputException($"{file}: '{without.Path}' has no 'weight' but another training file has; give every training file a weight, or none.")
            : files;
    }

    private static double? Weight(JsonElement entry, string path, string stage, string split, string file)
    {
        if (!entry.TryGetProperty("weight", out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }
        if (stage != "pretrain" || split != "train")
        {
            throw new BadInputException($"{file}: '{path}' has a 'weight'; only training files of 'pretrain' are mixed by weight. Remove it.");
        }
        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var weight) && double.IsFinite(weight) && weight > 0
            ? weight
            : throw new BadInputException($"{file}: the weight of '{path}' is {value.GetRawText()}; it must be a number above 0.");
    }

    private static void CheckContent(string full, string path, string? sha256, long? rows, string file)
    {
        if (sha256 is not null)
        {
            using var stream = System.IO.File.OpenRead(full);
            var actual = Convert.ToHexStringLower(SHA256.HashData(stream));
            if (!actual.Equals(sha256, StringComparison.OrdinalIgnoreCase))
            {
                throw new BadInputException($"{file}: the data file '{path}' has sha256 {actual}, not {sha256}: it was changed or cut off after the run was written.");
            }
        }
        if (rows is not null)
        {
            var actual = System.IO.File.ReadLines(full).LongCount(line => !string.IsNullOrWhiteSpace(line));
            if (actual != rows)
            {
                throw new BadInputException($"{file}: the data file '{path}' has {actual} rows, not {rows}.");
            }
        }
    }
}
