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
