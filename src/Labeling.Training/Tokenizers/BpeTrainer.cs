using System.Runtime.InteropServices;
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
    /// <param name="texts">What to learn from.</param>
    /// <param name="vocabSize">Entries of the vocabulary, control tokens included.</param>
    /// <param name="layout">Control tokens and chat template; null for one token per role.</param>
    /// <param name="threads">Most threads that count at once; 0 for one per processor. The result is the same at any number.</param>
    public static Tokenizer Train(IEnumerable<string> texts, int vocabSize, TokenizerLayout? layout = null, int threads = 0)
    {
        layout ??= TokenizerLayout.RoleTokens;
        Check(vocabSize, layout);
        var words = CountPieces(texts, threads);
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

    /// <summary>How often each piece occurs, in the order of the pieces: independent of who counted what.</summary>
    private static List<(int[] Symbols, long Count)> CountPieces(IEnumerable<string> texts, int threads)
    {
        var all = new Dictionary<string, long>(StringComparer.Ordinal);
        Parallel.ForEach(texts.SelectMany(Chunks), new ParallelOptions { MaxDegreeOfParallelism = threads > 0 ? threads : -1 },
            () => new Dictionary<string, long>(StringComparer.Ordinal),
            (chunk, _, counts) =>
            {
                Count(chunk, counts);
                return counts;
            },
            counts =>
            {
                lock (all)
                {
                    foreach (var (piece, count) in counts)
                    {
                        CollectionsMarshal.GetValueRefOrAddDefault(all, piece, out _) += count;
                    }
                }
            });
        return [.. all.OrderBy(c => c.Key, StringComparer.Ordinal).Select(c => (Encoding.UTF8.GetBytes(c.Key).Select(b => (int)b).ToArray(), c.Value))];
    }

    private static void Count(string text, Dictionary<string, long> counts)
    {
        var bySpan = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        if (!text.AsSpan().ContainsAnyInRange('\ud800', '\udfff'))
        {
            foreach (var match in PreTokenizer.Gpt2().EnumerateMatches(text))
            {
                CollectionsMarshal.GetValueRefOrAddDefault(bySpan, text.AsSpan(match.Index, match.Length), out _)++;
            }
            return;
        }
        foreach (var (from, to) in TextPattern.Of(PreTokenizer.Gpt2()).Matches(text))
        {
            CollectionsMarshal.GetValueRefOrAddDefault(bySpan, text.AsSpan(from, to - from), out _)++;
        }
    }

    /// <summary>
    /// Long texts in parts, so that several threads share one: cut behind a line break between two characters that are not white space, where the
    /// pieces end anyway.
    /// </summary>
    private static IEnumerable<string> Chunks(string text)
    {
        const int length = 1 << 19;
        var from = 0;
        for (var at = length; at < text.Length - 1; at++)
        {
            if (text[at] == '\n' && !char.IsWhiteSpace(text[at - 1]) && !char.IsWhiteSpace(text[at + 1]))
            {
                yield return text[from..(at + 1)];
                from = at + 1;
                at += length;
            }
        }
        if (from < text.Length)
        {
            yield return text[from..];
        }
    }

    private static List<(int Left, int Right)> LearnMerges(List<(int[] Symbols, long Count)> words, List<byte[]> tokens, int size)
    {
        var counts = new Dictionary<long, long>();
        var places = new Dictionary<long, List<int>>();
        var lengths = words.Select(w => w.Symbols.Length).ToArray();
        for (var w = 0; w < words.Count; w++)
        {
            for (var i = 0; i + 1 < lengths[w]; i++)
            {
                Add(w, words[w].Symbols[i], words[w].Symbols[i + 1]);
            }
        }
        var queue = new PriorityQueue<long, (long MinusCount, long Pair)>();
        foreach (var (pair, count) in counts)
        {
            queue.Enqueue(pair, (-count, pair));
        }
        var merges = new List<(int, int)>();
        // Two different merges may spell the same bytes ("a"+"bc", "ab"+"c"): they share one token.
        var known = tokens.Select((t, id) => (t, id)).ToDictionary(x => ByteLevel.ToText(x.t), x => x.id, StringComparer.Ordinal);
        var changed = new HashSet<long>();
        while (tokens.Count < size && queue.TryDequeue(out var pair, out var priority))
        {
            var count = counts.GetValueOrDefault(pair);
            if (count != -priority.MinusCount)
            {
                // The count fell since it was queued: queue it again with what it is now.
                if (count > 1)
                {
                    queue.Enqueue(pair, (-count, pair));
                }
                continue;
            }
            if (count < 2)
            {
                break;
            }
            var (left, right) = ((int)(pair >> 32), (int)pair);
            byte[] joined = [.. tokens[left], .. tokens[right]];
            if (!known.TryGetValue(ByteLevel.ToText(joined), out var id))
            {
                known[ByteLevel.ToText(joined)] = id = tokens.Count;
                tokens.Add(joined);
            }
            merges.Add((left, right));
            changed.Clear();
            var holders = places[pair];
            places.Remove(pair);
            foreach (var w in holders)
            {
                Merge(w, left, right, id);
            }
            counts.Remove(pair);
            foreach (var c in changed.Where(c => c != pair))
            {
                queue.Enqueue(c, (-counts[c], c));
            }
        }
        return merges;

        void Add(int word, int left, int right)
        {
            var pair = BpeMerges.Key(left, right);
            CollectionsMarshal.GetValueRefOrAddDefault(counts, pair, out _) += words[word].Count;
            ref var list = ref CollectionsMarshal.GetValueRefOrAddDefault(places, pair, out _);
            list ??= [];
            // A word is looked through as a whole: it need not be listed twice in a row.
            if (list.Count == 0 || list[^1] != word)
            {
                list.Add(word);
            }
        }

        void Merge(int word, int left, int right, int id)
        {
            var symbols = words[word].Symbols;
            ref var length = ref lengths[word];
            for (var i = 0; i + 1 < length; i++)
            {
                if (symbols[i] != left || symbols[i + 1] != right)
                {
                    continue;
                }
                if (i > 0)
                {
                    Replace(word, BpeMerges.Key(symbols[i - 1], left), symbols[i - 1], id);
                }
                if (i + 2 < length)
                {
                    Replace(word, BpeMerges.Key(right, symbols[i + 2]), id, symbols[i + 2]);
                }
                symbols[i] = id;
                symbols.AsSpan((i + 2)..length).CopyTo(symbols.AsSpan(i + 1));
                length--;
            }
        }

        void Replace(int word, long old, int left, int right)
        {
            CollectionsMarshal.GetValueRefOrAddDefault(counts, old, out _) -= words[word].Count;
            Add(word, left, right);
            changed.Add(BpeMerges.Key(left, right));
        }
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
