using System.Text.Json;
using Labeling.Training.Runs;

namespace Labeling.Training.Checks;

/// <summary>What a golden file holds expected values for.</summary>
internal enum GoldenKind { LanguageModel, RewardModel, Tokenizer, ChatTemplate, TokenizedConversations }

/// <summary>A file with expected values, recognised by its content.</summary>
internal sealed class GoldenFile(string path, GoldenKind kind, JsonDocument document) : IDisposable
{
    /// <summary>Files that belong to models and tokenizers; some are large and none holds expected values.</summary>
    private static readonly HashSet<string> Others = new(StringComparer.Ordinal)
    {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "added_tokens.json",
    };

    public string Path => path;

    public string Folder => System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!;

    public GoldenKind Kind => kind;

    public JsonElement Root => document.RootElement;

    /// <summary>The golden files at and below a path, in order of their paths.</summary>
    /// <exception cref="BadInputException">There is nothing at the path, or nothing with expected values.</exception>
    public static IReadOnlyList<string> Find(string path)
    {
        if (File.Exists(path))
        {
            return [path];
        }
        if (!Directory.Exists(path))
        {
            throw new BadInputException($"{path}: there is no such file or folder; --golden needs a golden file, or a folder with some in or below it.");
        }
        var found = Directory.EnumerateFiles(path, "*.json", SearchOption.AllDirectories)
            .Where(file => !Others.Contains(System.IO.Path.GetFileName(file)) && !file.EndsWith(".index.json", StringComparison.Ordinal))
            .Where(file => System.IO.Path.GetFileName(file) == "golden.json" || IsGolden(file))
            .Order(StringComparer.Ordinal).ToList();
        return found.Count > 0 ? found : throw new BadInputException($"{path}: no file in or below this folder holds expected values; put a golden.json beside the model or tokenizer.");
    }

    /// <exception cref="BadInputException">The file is not JSON or none of the known formats.</exception>
    public static GoldenFile Open(string path)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(File.ReadAllBytes(path));
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new BadInputException($"{path}: cannot be read as JSON: {e.Message}", e);
        }
        if (Recognise(document.RootElement) is { } kind)
        {
            return new GoldenFile(path, kind, document);
        }
        document.Dispose();
        throw new BadInputException($"{path}: not a golden file: expected \"cases\" with either \"task\" (models), \"chat_template\" (templates), text and ids (tokenizers) or tokenizer, template and ids (conversations).");
    }

    public IEnumerable<JsonElement> Cases => Root.GetProperty("cases").EnumerateArray();

    /// <exception cref="BadInputException">No case has this name.</exception>
    public JsonElement Case(string name)
    {
        foreach (var test in Cases)
        {
            if (test.GetProperty("name").GetString() == name)
            {
                return test;
            }
        }
        throw new BadInputException($"{path}: no case is named '{name}'.");
    }

    public void Dispose() => document.Dispose();

    private static bool IsGolden(string path)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            return Recognise(document.RootElement) is not null;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static GoldenKind? Recognise(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("cases", out var cases) || cases.ValueKind != JsonValueKind.Array)
        {
            return null;
        }
        if (Given(root, "chat_template"))
        {
            return GoldenKind.ChatTemplate;
        }
        if (root.TryGetProperty("task", out var task) && task.ValueKind == JsonValueKind.String)
        {
            return task.GetString() switch { "causal-lm" => GoldenKind.LanguageModel, "reward" => GoldenKind.RewardModel, _ => null };
        }
        var first = cases.EnumerateArray().FirstOrDefault();
        return Given(first, "input_ids") ? (Given(first, "rewards_mask_positions") || Given(first, "rewards_default_positions") ? GoldenKind.RewardModel : GoldenKind.LanguageModel)
            : Given(first, "ids") && Given(first, "template") && Given(first, "tokenizer") ? GoldenKind.TokenizedConversations
            : Given(first, "ids") && Given(first, "text") ? GoldenKind.Tokenizer
            : null;
    }

    /// <summary>Whether an object has this property with a value other than null.</summary>
    public static bool Given(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null;
}
