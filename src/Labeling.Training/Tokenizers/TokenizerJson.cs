using System.Text.Json;
using static Labeling.Training.Tokenizers.JsonFields;

namespace Labeling.Training.Tokenizers;

/// <summary>Reads Hugging Face's tokenizer.json and tokenizer_config.json. What it does not do exactly, it refuses by name.</summary>
internal static class TokenizerJson
{
    public const string FileName = "tokenizer.json";
    public const string ConfigFileName = "tokenizer_config.json";

    /// <summary>Far above any published vocabulary; a table of this length still fits in memory.</summary>
    private const int LargestId = 10_000_000;

    public static TokenizerData Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"The folder '{folder}' has no {FileName}; a model and its tokenizer belong in one folder.", path);
        }
        var file = File.ReadAllBytes(path);
        var configPath = Path.Combine(folder, ConfigFileName);
        var config = File.Exists(configPath) ? File.ReadAllBytes(configPath) : null;
        return Read(file, config, path, configPath);
    }

    public static TokenizerData Read(byte[] file, byte[]? config, string path, string configPath)
    {
        using var document = Parse(file, path);
        using var settings = config is null ? null : Parse(config, configPath);
        try
        {
            var root = document.RootElement;
            var model = Get(root, "model") ?? throw Bad("model", "is missing");
            var (prefix, suffix) = Template(Get(root, "post_processor"));
            var decoder = Get(root, "decoder");
            CheckKind(model);
            var vocabulary = Vocabulary(model);
            var added = Added(root, vocabulary);
            return new TokenizerData
            {
                Model = Model(model, vocabulary, [.. added.Where(t => t.Special).Select(t => t.Id)]),
                AddedTokens = added,
                Normalise = Normalizers.Read(Get(root, "normalizer")),
                PreTokenizer = PreTokenizerJson.Read(Get(root, "pre_tokenizer")),
                Decoder = TokenDecoder.Read(decoder),
                IsByteLevel = PreTokenizerJson.IsByteLevel(Get(root, "pre_tokenizer")) || Steps(Get(root, "normalizer"), "normalizers").Any(IsByteLevel),
                DecodesBytes = Steps(decoder, "decoders").ToList() is [var only] && IsByteLevel(only),
                Prefix = prefix,
                Suffix = suffix,
                BosToken = Token(settings, "bos_token"),
                EosToken = Token(settings, "eos_token"),
                PadToken = Token(settings, "pad_token"),
                TokenizerFile = file,
                ConfigFile = config,
            };
        }
        catch (InvalidDataException e)
        {
            throw new InvalidDataException($"{path}: {e.Message}", e);
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or ArgumentException or KeyNotFoundException)
        {
            throw new InvalidDataException($"{path}: a field has an unexpected type or value ({e.Message})", e);
        }
    }

    private static bool IsByteLevel(JsonElement step) => Text(step, "type") == "ByteLevel";

    /// <summary>A special token is either its text or an object with a "content".</summary>
    private static string? Token(JsonDocument? settings, string name) => settings is null || Get(settings.RootElement, name) is not { } token
        ? null
        : token.ValueKind == JsonValueKind.Object ? Text(token, "content") : token.GetString();

    private static void CheckKind(JsonElement model)
    {
        if (Text(model, "type") is { } type && type != "BPE")
        {
            throw Bad("model.type", $"is '{type}', which is not supported; only BPE is");
        }
        if (Get(model, "dropout") is { ValueKind: JsonValueKind.Number } dropout && dropout.GetDouble() > 0)
        {
            throw Bad("model.dropout", "is not 0; tokenisation would be random");
        }
    }

    private static BpeModel Model(JsonElement model, Dictionary<string, int> vocabulary, HashSet<int> special)
    {
        var continuing = Text(model, "continuing_subword_prefix") ?? "";
        return new BpeModel(vocabulary, Merges(model, vocabulary, special, continuing.Length), Flag(model, "byte_fallback"))
        {
            Special = special,
            UnknownId = Text(model, "unk_token") is { } unknown && vocabulary.TryGetValue(unknown, out var id) ? id : null,
            FuseUnknown = Flag(model, "fuse_unk"),
            IgnoreMerges = Flag(model, "ignore_merges"),
            ContinuingPrefix = continuing,
            EndSuffix = Text(model, "end_of_word_suffix") ?? "",
        };
    }

    private static Dictionary<string, int> Vocabulary(JsonElement model)
    {
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var seen = new HashSet<int>();
        foreach (var entry in Need(model, "vocab", "model").EnumerateObject())
        {
            var id = entry.Value.GetInt32();
            if (id is < 0 or > LargestId || !seen.Add(id) || !vocabulary.TryAdd(entry.Name, id))
            {
                throw Bad($"model.vocab['{entry.Name}']", $"has id {id}, which is out of range or used twice");
            }
        }
        return vocabulary;
    }

    /// <summary>
    /// Merges by pair. Llama 2's spell out control tokens too ("&lt;/" and "s&gt;"): those are left out, or text that a person typed would turn into them.
    /// Where control tokens are wanted, they are found before any merge.
    /// </summary>
    private static Dictionary<long, (int Rank, int Id)> Merges(JsonElement model, Dictionary<string, int> vocabulary, HashSet<int> special, int prefixLength)
    {
        var merges = new Dictionary<long, (int, int)>();
        var rank = 0;
        foreach (var entry in Need(model, "merges", "model").EnumerateArray())
        {
            var parts = entry.ValueKind == JsonValueKind.Array
                ? entry.EnumerateArray().Select(e => e.GetString()!).ToArray()
                : entry.GetString()!.Split(' ');
            if (parts.Length != 2 || parts[1].Length < prefixLength || !vocabulary.TryGetValue(parts[0], out var left) || !vocabulary.TryGetValue(parts[1], out var right)
                || !vocabulary.TryGetValue(parts[0] + parts[1][prefixLength..], out var joined))
            {
                throw Bad($"model.merges[{rank}]", "does not name two tokens whose joined text is in the vocabulary");
            }
            // Of a pair that is listed twice, the last rank counts.
            if (!special.Contains(joined))
            {
                merges[BpeMerges.Key(left, right)] = (rank, joined);
            }
            rank++;
        }
        return merges;
    }

    private static List<AddedToken> Added(JsonElement root, Dictionary<string, int> vocabulary)
    {
        var tokens = new List<AddedToken>();
        foreach (var entry in Get(root, "added_tokens")?.EnumerateArray() ?? default)
        {
            var content = Text(entry, "content") is { Length: > 0 } text ? text : throw Bad("added_tokens", "has an entry without content");
            var id = entry.GetProperty("id").GetInt32();
            if (id is < 0 or > LargestId)
            {
                throw Bad($"added_tokens['{content}'].id", $"is {id}");
            }
            var special = Flag(entry, "special");
            // A token of the learned vocabulary keeps its id there.
            tokens.Add(new AddedToken(vocabulary.TryGetValue(content, out var known) ? known : id, content, special, Flag(entry, "normalized", !special), Flag(entry, "single_word"), Flag(entry, "lstrip"), Flag(entry, "rstrip")));
        }
        return tokens;
    }

    /// <summary>The ids the post-processor puts before and after a single sequence.</summary>
    private static (int[] Prefix, int[] Suffix) Template(JsonElement? element)
    {
        List<int> prefix = [], suffix = [];
        foreach (var step in Steps(element, "processors"))
        {
            switch (Text(step, "type"))
            {
                case "ByteLevel":
                    break;
                case "TemplateProcessing":
                    var into = prefix;
                    foreach (var part in Need(step, "single", "post_processor").EnumerateArray())
                    {
                        if (Get(part, "SpecialToken") is { } special)
                        {
                            into.AddRange(step.GetProperty("special_tokens").GetProperty(Text(special, "id")!).GetProperty("ids").EnumerateArray().Select(i => i.GetInt32()));
                        }
                        else
                        {
                            into = suffix;
                        }
                    }
                    break;
                case "RobertaProcessing" or "BertProcessing":
                    prefix.Add(step.GetProperty("cls")[1].GetInt32());
                    suffix.Add(step.GetProperty("sep")[1].GetInt32());
                    break;
                case var type:
                    throw Bad("post_processor", $"step '{type}' is not supported");
            }
        }
        return ([.. prefix], [.. suffix]);
    }
}
