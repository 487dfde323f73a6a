using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Labeling.Training.Cli.Tests;

/// <summary>Writes and reads run folders.</summary>
internal static class RunFiles
{
    /// <summary>Makes a run folder beside its inputs and returns its path.</summary>
    public static string Make(string root, string name, string stage, object hyperparameters, (string Split, IEnumerable<object> Rows)[] data, params (string Key, JsonNode Value)[] more)
    {
        var folder = Path.Combine(root, name);
        Directory.CreateDirectory(Path.Combine(folder, "data"));
        var files = new JsonArray();
        foreach (var (split, rows) in data)
        {
            var bytes = Encoding.UTF8.GetBytes(string.Concat(rows.Select(r => JsonSerializer.Serialize(r) + "\n")));
            File.WriteAllBytes(Path.Combine(folder, "data", split + ".jsonl"), bytes);
            files.Add(new JsonObject
            {
                ["path"] = $"data/{split}.jsonl",
                ["split"] = split,
                ["sha256"] = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes)),
                ["rows"] = rows.Count(),
            });
        }
        var run = new JsonObject
        {
            ["schema"] = 1,
            ["run_id"] = name,
            ["stage"] = stage,
            ["seed"] = 7,
            ["threads"] = 1,
            ["data"] = files,
            ["hyperparameters"] = JsonSerializer.SerializeToNode(hyperparameters),
        };
        foreach (var (key, value) in more)
        {
            run[key] = value.DeepClone();
        }
        File.WriteAllText(Path.Combine(folder, "run.json"), run.ToJsonString());
        return folder;
    }

    /// <summary>A second, untouched copy of a run folder's inputs.</summary>
    public static string Copy(string folder, string name)
    {
        var copy = Path.Combine(Path.GetDirectoryName(folder)!, name);
        Directory.CreateDirectory(Path.Combine(copy, "data"));
        File.Copy(Path.Combine(folder, "run.json"), Path.Combine(copy, "run.json"));
        foreach (var file in Directory.EnumerateFiles(Path.Combine(folder, "data")))
        {
            File.Copy(file, Path.Combine(copy, "data", Path.GetFileName(file)));
        }
        return copy;
    }

    public static List<string> Lines(string path)
    {
        using var reader = new StreamReader(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)];
    }

    public static int CountLines(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var bytes = new byte[stream.Length];
        return bytes.AsSpan(0, stream.Read(bytes)).Count((byte)'\n');
    }

    /// <summary>metrics.jsonl without what depends on the clock.</summary>
    public static List<string> Metrics(string folder) => [.. Lines(Path.Combine(folder, "metrics.jsonl")).Select(line =>
    {
        var row = JsonNode.Parse(line)!.AsObject();
        foreach (var name in row.Select(p => p.Key).Where(k => k is "time" or "eps" || k.StartsWith("timing/", StringComparison.Ordinal)).ToList())
        {
            row.Remove(name);
        }
        return row.ToJsonString();
    })];

    public static JsonObject Json(string folder, string name) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, name)))!.AsObject();
}
