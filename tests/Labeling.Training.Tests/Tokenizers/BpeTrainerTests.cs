using Labeling.Training.Tokenizers;

namespace Labeling.Training.Tests.Tokenizers;

public class BpeTrainerTests
{
    private static readonly string[] Corpus = ["low low low low low", "lower lower newest newest newest newest newest newest", "widest widest widest", "a é 語 👩‍👩‍👧"];

    /// <summary>The worked example of Sennrich et al. 2016 with GPT-2's leading spaces: counts worked out by hand.</summary>
    [Fact]
    public void Merges_the_most_frequent_pair_first()
    {
        // " newest" x6 and " widest" x2 (+ "widest" x1): "e s" and "s t" occur 9 times each; the lower ids win: (e,s) before (s,t).
        var tokenizer = BpeTrainer.Train(Corpus, 256 + 6 + 2);
        Assert.Equal(264, tokenizer.VocabSize);
        Assert.Equal(256, tokenizer.IdOf("es"));
        Assert.Equal(257, tokenizer.IdOf("est"));
    }

    [Fact]
    public void The_same_text_gives_the_same_files()
    {
        var first = Saved(BpeTrainer.Train(Corpus, 300));
        Assert.Equal(first, Saved(BpeTrainer.Train(Corpus, 300)));
        Assert.Equal(first, Saved(BpeTrainer.Train(Corpus.Reverse(), 300)));
    }

    [Fact]
    public void Any_number_of_threads_learns_the_same()
    {
        var random = new Random(5);
        string[] words = [.. Enumerable.Range(0, 400).Select(_ => string.Concat(Enumerable.Range(0, random.Next(1, 4)).Select(_ => "ka lo mi é 語 tion 👍".Split(' ')[random.Next(7)])))];
        string Text(int length) => string.Join(' ', Enumerable.Range(0, length).Select(_ => words[random.Next(words.Length)] + (random.Next(9) == 0 ? "\n" : "")));
        // One text long enough to be cut, and many short ones.
        string[] texts = [Text(300_000), .. Enumerable.Range(0, 200).Select(_ => Text(50))];
        var one = Saved(BpeTrainer.Train(texts, 700, threads: 1));
        Assert.Equal(one, Saved(BpeTrainer.Train(texts, 700, threads: 4)));
        Assert.Equal(one, Saved(BpeTrainer.Train([.. texts.Skip(1), texts[0]], 700)));
    }

    /// <summary>The definition, carried out literally: count all pairs anew after every merge.</summary>
    [Fact]
    public void Merges_are_those_of_counting_anew_every_time()
    {
        var random = new Random(9);
        string[] texts = [.. Enumerable.Range(0, 60).Select(_ => string.Concat(Enumerable.Range(0, 30).Select(_ => "aab bc"[random.Next(6)])))];
        var words = texts.SelectMany(t => PreTokenizer.Gpt2().Matches(t).Select(m => m.Value.Select(c => (int)c).ToList())).ToList();
        var spelling = Enumerable.Range(0, 256).Select(b => ((char)b).ToString()).ToList();
        while (spelling.Count < 256 + 30)
        {
            var pairs = words.SelectMany(w => w.Zip(w.Skip(1))).GroupBy(p => p).Select(g => (g.Key.First, g.Key.Second, Count: g.Count())).ToList();
            var (left, right, count) = pairs.OrderByDescending(p => p.Count).ThenBy(p => p.First).ThenBy(p => p.Second).First();
            if (count < 2) break;
            var id = spelling.IndexOf(spelling[left] + spelling[right]);
            if (id < 0)
            {
                id = spelling.Count;
                spelling.Add(spelling[left] + spelling[right]);
            }
            foreach (var word in words)
            {
                for (var i = 0; i + 1 < word.Count; i++)
                {
                    if (word[i] != left || word[i + 1] != right) continue;
                    word[i] = id;
                    word.RemoveAt(i + 1);
                }
            }
        }
        var tokenizer = BpeTrainer.Train(texts, spelling.Count + 6);
        Assert.Equal(spelling.Count + 6, tokenizer.VocabSize);
        Assert.All(spelling.Select((s, id) => (s, id)).Skip(256), x => Assert.Equal(x.id, tokenizer.IdOf(x.s.Replace(' ', 'Ġ'))));
    }

    [Fact]
    public void A_saved_tokenizer_reads_back_the_same()
    {
        var trained = BpeTrainer.Train(Corpus, 300);
        var folder = Directory.CreateTempSubdirectory("bpe");
        try
        {
            trained.Save(folder.FullName);
            var read = Tokenizer.FromFolder(folder.FullName);
            foreach (var text in Corpus.Append("something new: <|end|> ☃"))
            {
                Assert.Equal(trained.Encode(text), read.Encode(text));
                Assert.Equal(text, read.Decode(read.Encode(text)));
            }
            Assert.Equal(read.IdOf("<|end|>"), read.EosId);
            Assert.NotEqual(read.PadId, read.EosId);
            Assert.Equal("<|user|>hi<|assistant|>", ChatTemplate.FromFolder(folder.FullName).Render([new ChatMessage("user", "hi")], addGenerationPrompt: true));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Too_small_a_vocabulary_and_padding_with_the_end_token_are_refused()
    {
        Assert.Contains("262", Assert.Throws<ArgumentException>(() => BpeTrainer.Train(Corpus, 100)).Message, StringComparison.Ordinal);
        var layout = TokenizerLayout.RoleTokens with { Pad = "<|end|>" };
        Assert.Contains("must differ", Assert.Throws<ArgumentException>(() => BpeTrainer.Train(Corpus, 300, layout)).Message, StringComparison.Ordinal);
    }

    private static string Saved(Tokenizer tokenizer)
    {
        var folder = Directory.CreateTempSubdirectory("bpe");
        tokenizer.Save(folder.FullName);
        var text = File.ReadAllText(Path.Combine(folder.FullName, "tokenizer.json")) + File.ReadAllText(Path.Combine(folder.FullName, "tokenizer_config.json"));
        folder.Delete(recursive: true);
        return text;
    }
}
