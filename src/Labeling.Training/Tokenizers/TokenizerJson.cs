using System.Text.Json;
using System.Text.RegularExpressions;

namespace Labeling.Training.Tokenizers;

/// <summary>Reads Hugging Face's tokenizer.json and tokenizer_config.json. What it does not do exactly, it refuses by name.</summary>
internal static class TokenizerJson
{
    public const string FileName = "tokenizer.json";
    public const string ConfigFileName = "tokenizer_config.json";

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
            if (Text(model, "type") is { } type && type != "BPE")
            {
                throw Bad("model.type", $"is '{type}'; only BPE is read");
            }
            if (Flag(model, "byte_fallback"))
            {
                throw Bad("model.byte_fallback", "is true (SentencePiece style); only byte-level BPE is read");
            }
            if (Get(model, "dropout") is { ValueKind: JsonValueKind.Number } dropout && dropout.GetDouble() > 0)
            {
                throw Bad("model.dropout", "is not 0; tokenisation would be random");
            }
            foreach (var name in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
            {
                if (!string.IsNullOrEmpty(Text(model, name)))
                {
                    throw Bad("model." + name, "is set; only byte-level BPE is read");
                }
            }
            var vocabulary = Vocabulary(model);
            var (prefix, suffix) = Template(Get(root, "post_processor"));
            return new TokenizerData
            {
                Vocabulary = vocabulary,
                Merges = Merges(model, vocabulary),
                AddedTokens = Added(root),
                PreTokenizer = ReadPreTokenizer(Get(root, "pre_tokenizer")),
                NormaliseToNfc = NeedsNfc(Get(root, "normalizer")),
                IgnoreMerges = Flag(model, "ignore_merges"),
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

    private static JsonDocument Parse(byte[] json, string path)
    {
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} is not valid JSON: {e.Message}", e);
        }
    }

    private static InvalidDataException Bad(string field, string problem) => new($"{field} {problem}.");

    private static JsonElement? Get(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static string? Text(JsonElement element, string name) => Get(element, name)?.GetString();

    private static bool Flag(JsonElement element, string name) => Get(element, name)?.GetBoolean() ?? false;

    /// <summary>A special token is either its text or an object with a "content".</summary>
    private static string? Token(JsonDocument? settings, string name) => settings is null || Get(settings.RootElement, name) is not { } token
        ? null
        : token.ValueKind == JsonValueKind.Object ? Text(token, "content") : token.GetString();

    private static Dictionary<string, int> Vocabulary(JsonElement model)
    {
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        var seen = new HashSet<int>();
        foreach (var entry in (Get(model, "vocab") ?? throw Bad("model.vocab", "is missing")).EnumerateObject())
        {
            var id = entry.Value.GetInt32();
            if (id is < 0 or > 10_000_000 || !seen.Add(id) || !vocabulary.TryAdd(entry.Name, id))
            {
                throw Bad($"model.vocab['{entry.Name}']", $"has id {id}, which is out of range or used twice");
            }
        }
        return vocabulary;
    }

    private static Dictionary<long, (int Rank, int Id)> Merges(JsonElement model, Dictionary<string, int> vocabulary)
    {
        var merges = new Dictionary<long, (int, int)>();
        var rank = 0;
        foreach (var entry in (Get(model, "merges") ?? throw Bad("model.merges", "is missing")).EnumerateArray())
        {
            var parts = entry.ValueKind == JsonValueKind.Array
                ? entry.EnumerateArray().Select(e => e.GetString()!).ToArray()
                : entry.GetString()!.Split(' ');
            if (parts.Length != 2 || !vocabulary.TryGetValue(parts[0], out var left) || !vocabulary.TryGetValue(parts[1], out var right)
                || !vocabulary.TryGetValue(parts[0] + parts[1], out var joined))
            {
                throw Bad($"model.merges[{rank}]", "does not name two tokens whose joined text is in the vocabulary");
            }
            merges.TryAdd(BpeMerges.Key(left, right), (rank, joined));
            rank++;
        }
        return merges;
    }

    private static List<AddedToken> Added(JsonElement root)
    {
        var tokens = new List<AddedToken>();
        foreach (var entry in Get(root, "added_tokens")?.EnumerateArray() ?? default)
        {
            var content = Text(entry, "content") is { Length: > 0 } text ? text : throw Bad("added_tokens", "has an entry without content");
            foreach (var rule in new[] { "single_word", "lstrip", "rstrip" })
            {
                if (Flag(entry, rule))
                {
                    throw Bad($"added_tokens['{content}'].{rule}", "is true; added tokens are only matched literally");
                }
            }
            var id = entry.GetProperty("id").GetInt32();
            if (id is < 0 or > 10_000_000)
            {
                throw Bad($"added_tokens['{content}'].id", $"is {id}");
            }
            tokens.Add(new AddedToken(id, content, Flag(entry, "special")));
        }
        return tokens;
    }

    private static bool NeedsNfc(JsonElement? normalizer)
    {
        if (normalizer is not { } n)
        {
            return false;
        }
        var type = Text(n, "type");
        if (type == "Sequence")
        {
            return n.GetProperty("normalizers").EnumerateArray().Select(e => NeedsNfc(e)).Aggregate(false, (a, b) => a || b);
        }
        if (type != "NFC")
        {
            throw Bad("normalizer.type", $"is '{type}'; only NFC is known");
        }
        // With InvariantGlobalization, or without ICU, Normalize returns its input: then the ids would silently differ.
        return "e\u0301".Normalize(System.Text.NormalizationForm.FormC) == "\u00e9"
            ? true
            : throw Bad("normalizer.type", "is NFC, which this process cannot compute (no Unicode normalisation data)");
    }

    private static PreTokenizer ReadPreTokenizer(JsonElement? element)
    {
        var patterns = new List<Regex>();
        var byteLevel = false;
        var prefixSpace = false;
        if (element is { } e)
        {
            Walk(e);
        }
        return byteLevel ? new PreTokenizer(patterns, prefixSpace) : throw Bad("pre_tokenizer", "has no ByteLevel step; only byte-level BPE is read");

        void Walk(JsonElement step)
        {
            switch (Text(step, "type"))
            {
                case "Sequence":
                    foreach (var inner in step.GetProperty("pretokenizers").EnumerateArray())
                    {
                        Walk(inner);
                    }
                    break;
                case "ByteLevel":
                    byteLevel = true;
                    prefixSpace |= Flag(step, "add_prefix_space");
                    if (Get(step, "use_regex")?.GetBoolean() ?? true)
                    {
                        patterns.Add(PreTokenizer.Gpt2());
                    }
                    break;
                case "Digits":
                    patterns.Add(Flag(step, "individual_digits") ? PreTokenizer.SingleDigits() : PreTokenizer.DigitRuns());
                    break;
                case "Split" when Text(step, "behavior") == "Isolated" && !Flag(step, "invert"):
                    var pattern = step.GetProperty("pattern");
                    var source = Text(pattern, "Regex") ?? Regex.Escape(Text(pattern, "String") ?? throw Bad("pre_tokenizer.pattern", "is neither Regex nor String"));
                    patterns.Add(new Regex(source, RegexOptions.CultureInvariant | RegexOptions.Compiled, TimeSpan.FromSeconds(20)));
                    break;
                case var type:
                    throw Bad("pre_tokenizer", $"step '{type}' (or its options) is not known");
            }
        }
    }

    /// <summary>The ids a TemplateProcessing step puts before and after a single sequence.</summary>
    private static (int[] Prefix, int[] Suffix) Template(JsonElement? element)
    {
        List<int> prefix = [], suffix = [];
        foreach (var step in Steps(element))
        {
            if (Text(step, "type") != "TemplateProcessing")
            {
                continue;
            }
            var into = prefix;
            foreach (var part in step.GetProperty("single").EnumerateArray())
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
        }
        return ([.. prefix], [.. suffix]);

        static IEnumerable<JsonElement> Steps(JsonElement? e) => e is not { } step ? []
            : Text(step, "type") == "Sequence" ? step.GetProperty("processors").EnumerateArray().SelectMany(s => Steps(s)) : [step];
    }
}
