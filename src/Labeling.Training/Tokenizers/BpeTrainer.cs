using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Labeling.Training.Tokenizers;

/// <summary>Which control tokens a new tokenizer gets and how conversations are written with them.</summary>
/// <param name="Special">All control tokens, in id order after the learned vocabulary.</param>
/// <param name="Bos">Begin token or null.</param>
/// <param name="Eos">End token; models stop here.</param>
/// <param name="Pad">Padding token; must differ from <paramref name="Eos"/>, or the end of an answer would be masked out of the loss with the padding.</param>
/// <param name="ChatTemplate">Jinja template for tokenizer_config.json.</param>
public sealed record TokenizerLayout(IReadOnlyList<string> Special, string? Bos, string Eos, string Pad, string ChatTemplate)
{
    /// <summary>One control token per role, so that a turn costs one token: &lt;|user|&gt;question&lt;|assistant|&gt;answer&lt;|end|&gt;.</summary>
    public static TokenizerLayout RoleTokens { get; } = new(
        ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"],
        null,
        "<|end|>",
        "<|pad|>",
        "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
        + "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}");
}

/// <summary>
/// Learns a byte-level BPE vocabulary: starts from the 256 bytes and repeatedly adds the most frequent adjacent pair inside GPT-2's
/// pieces (Sennrich et al. 2016; Radford et al. 2019). Deterministic: the most frequent pair wins, then the one with the lower ids.
/// </summary>
public static class BpeTrainer
{
    private static readonly JsonSerializerOptions Pretty = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Trains on <paramref name="texts"/> until the vocabulary, control tokens included, has <paramref name="vocabSize"/> entries or no pair occurs twice.</summary>
    /// <exception cref="ArgumentException">The vocabulary cannot hold the 256 bytes and the control tokens, or the layout is inconsistent.</exception>
    public static Tokenizer Train(IEnumerable<string> texts, int vocabSize, TokenizerLayout? layout = null)
    {
        layout ??= TokenizerLayout.RoleTokens;
        Check(vocabSize, layout);
        var words = CountPieces(texts);
        var tokens = new List<byte[]>(Enumerable.Range(0, 256).Select(b => new[] { (byte)b }));
        var merges = LearnMerges(words, tokens, vocabSize - layout.Special.Count);
        var (file, config) = Write(tokens, merges, layout);
        return new Tokenizer(TokenizerJson.Read(file, config, TokenizerJson.FileName, TokenizerJson.ConfigFileName));
    }

    private static void Check(int vocabSize, TokenizerLayout layout)
    {
        if (vocabSize < 256 + layout.Special.Count)
        {
            throw new ArgumentException($"A byte-level vocabulary needs at least {256 + layout.Special.Count} entries (256 bytes and {layout.Special.Count} special tokens); {vocabSize} were asked for.", nameof(vocabSize));
        }
        if (layout.Pad == layout.Eos)
        {
            throw new ArgumentException("The padding token and the end token must differ, or models never learn to stop.", nameof(layout));
        }
        foreach (var token in new[] { layout.Bos, layout.Eos, layout.Pad })
        {
            if (token is not null && !layout.Special.Contains(token))
            {
                throw new ArgumentException($"The token '{token}' is not among the special tokens.", nameof(layout));
            }
        }
    }

    private static List<(int[] Symbols, long Count)> CountPieces(IEnumerable<string> texts)
    {
        var split = new PreTokenizer([PreTokenizer.SplitBy(TextPattern.Of(PreTokenizer.Gpt2()), SplitBehavior.Isolated)]);
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var text in texts)
        {
            foreach (var piece in split.Split(text, first: true))
            {
                System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(counts, piece.Text, out _)++;
            }
        }
        return [.. counts.OrderBy(c => c.Key, StringComparer.Ordinal).Select(c => (Encoding.UTF8.GetBytes(c.Key).Select(b => (int)b).ToArray(), c.Value))];
    }

    private static List<(int Left, int Right)> LearnMerges(List<(int[] Symbols, long Count)> words, List<byte[]> tokens, int size)
    {
        var counts = new Dictionary<(int, int), long>();
        var places = new Dictionary<(int, int), HashSet<int>>();
        for (var w = 0; w < words.Count; w++)
        {
            AddPairs(w, words[w].Symbols, words[w].Count);
        }
        var queue = new PriorityQueue<(int Left, int Right), (long MinusCount, int Left, int Right)>();
        foreach (var (pair, count) in counts)
        {
            queue.Enqueue(pair, (-count, pair.Item1, pair.Item2));
        }
        var merges = new List<(int, int)>();
        // Two different merges may spell the same bytes ("a"+"bc", "ab"+"c"): they share one token.
        var known = tokens.Select((t, id) => (t, id)).ToDictionary(x => ByteLevel.ToText(x.t), x => x.id, StringComparer.Ordinal);
        while (tokens.Count < size && queue.TryDequeue(out var pair, out var priority))
        {
            var count = counts.GetValueOrDefault(pair);
            if (count != -priority.MinusCount)
            {
                // The count fell since it was queued: queue it again with what it is now.
                if (count > 1)
                {
                    queue.Enqueue(pair, (-count, pair.Left, pair.Right));
                }
                continue;
            }
            if (count < 2)
            {
                break;
            }
            byte[] joined = [.. tokens[pair.Left], .. tokens[pair.Right]];
            if (!known.TryGetValue(ByteLevel.ToText(joined), out var id))
            {
                known[ByteLevel.ToText(joined)] = id = tokens.Count;
                tokens.Add(joined);
            }
            merges.Add(pair);
            var changed = new HashSet<(int, int)>();
            foreach (var w in places[pair].Order().ToArray())
            {
                var (symbols, times) = words[w];
                AddPairs(w, symbols, -times);
                var merged = Merge(symbols, pair, id);
                words[w] = (merged, times);
                AddPairs(w, merged, times);
                for (var i = 0; i + 1 < merged.Length; i++)
                {
                    if (merged[i] == id || merged[i + 1] == id)
                    {
                        changed.Add((merged[i], merged[i + 1]));
                    }
                }
            }
            foreach (var c in changed)
            {
                queue.Enqueue(c, (-counts[c], c.Item1, c.Item2));
            }
        }
        return merges;

        void AddPairs(int word, int[] symbols, long times)
        {
            for (var i = 0; i + 1 < symbols.Length; i++)
            {
                var pair = (symbols[i], symbols[i + 1]);
                counts[pair] = counts.GetValueOrDefault(pair) + times;
                if (times > 0)
                {
                    if (!places.TryGetValue(pair, out var set))
                    {
                        places[pair] = set = [];
                    }
                    set.Add(word);
                }
            }
        }
    }

    private static int[] Merge(int[] symbols, (int Left, int Right) pair, int id)
    {
        var merged = new List<int>(symbols.Length);
        for (var i = 0; i < symbols.Length; i++)
        {
            if (i + 1 < symbols.Length && symbols[i] == pair.Left && symbols[i + 1] == pair.Right)
            {
                merged.Add(id);
                i++;
            }
            else
            {
                merged.Add(symbols[i]);
            }
        }
        return [.. merged];
    }

    private static (byte[] File, byte[] Config) Write(List<byte[]> tokens, List<(int Left, int Right)> merges, TokenizerLayout layout)
    {
        var vocabulary = new JsonObject();
        var ids = 0;
        foreach (var token in tokens)
        {
            vocabulary[ByteLevel.ToText(token)] = ids++;
        }
        var added = new JsonArray();
        foreach (var special in layout.Special)
        {
            added.Add(new JsonObject
            {
                ["id"] = ids++,
                ["content"] = special,
                ["single_word"] = false,
                ["lstrip"] = false,
                ["rstrip"] = false,
                ["normalized"] = false,
                ["special"] = true,
            });
        }
        JsonObject Bytes() => new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = true };
        var root = new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = added,
            ["normalizer"] = null,
            ["pre_tokenizer"] = Bytes(),
            ["post_processor"] = null,
            ["decoder"] = Bytes(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = null,
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false,
                ["byte_fallback"] = false,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. merges.Select(m => (JsonNode)new JsonArray(ByteLevel.ToText(tokens[m.Left]), ByteLevel.ToText(tokens[m.Right])))]),
            },
        };
        var config = new JsonObject
        {
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["bos_token"] = layout.Bos,
            ["eos_token"] = layout.Eos,
            ["pad_token"] = layout.Pad,
            ["clean_up_tokenization_spaces"] = false,
            ["chat_template"] = layout.ChatTemplate,
        };
        return (Encoding.UTF8.GetBytes(root.ToJsonString(Pretty)), Encoding.UTF8.GetBytes(config.ToJsonString(Pretty)));
    }
}
