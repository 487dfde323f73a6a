using System.Text;
using Labeling.Training.Tokenizers;

namespace Labeling.Benchmarks;

/// <summary>Learning a vocabulary and encoding with it, against one plain pass over the same bytes that only counts words.</summary>
internal static class TokenizerBenchmark
{
    private const int Vocabulary = 8192;
    private const int Characters = 20_000_000;

    public static List<Measurement> Run()
    {
        var texts = Texts(Characters);
        var bytes = texts.Sum(t => (double)Encoding.UTF8.GetByteCount(t));
        var utf8 = texts.Select(Encoding.UTF8.GetBytes).ToList();
        long words = 0;
        var pass = Machine.Best(3, () => words = utf8.Sum(CountWords));
        Tokenizer? tokenizer = null;
        List<Measurement> measurements = [];
        foreach (var threads in new[] { 1, Environment.ProcessorCount }.Distinct())
        {
            Measure($"learn {Vocabulary} tokens, {threads} threads", () => tokenizer = BpeTrainer.Train(texts, Vocabulary, threads: threads));
        }
        Measure("encode, 1 thread", () => texts.ForEach(t => tokenizer!.Encode(t)));
        return measurements;

        void Measure(string name, Action action)
        {
            var milliseconds = Machine.Best(1, action);
            measurements.Add(new(name, milliseconds, bytes / milliseconds / 1e3, "MB/s", pass / milliseconds, $"one pass over {bytes / 1e6:0} MB ({words} words): {bytes / pass / 1e3:0} MB/s"));
        }
    }

    private static long CountWords(byte[] text)
    {
        long words = 0;
        var inside = false;
        foreach (var b in text)
        {
            var letter = b > ' ';
            words += letter && !inside ? 1 : 0;
            inside = letter;
        }
        return words;
    }

    /// <summary>Invented words with the frequencies of Zipf's law, in texts of some 100 KB, a few of them not ASCII.</summary>
    public static List<string> Texts(int characters)
    {
        var random = new Random(1);
        string[] syllables = [.. from c in "bdfghklmnprstvwz" from v in "aeiou" select $"{c}{v}", "é", "ü", "ß", "na\u0301", "語", "ing", "er", "tion"];
        var words = Enumerable.Range(0, 200_000).Select(_ => string.Concat(Enumerable.Range(0, random.Next(1, 5)).Select(_ => syllables[random.Next(syllables.Length)]))).ToArray();
        List<string> texts = [];
        for (var left = characters; left > 0;)
        {
            var text = new StringBuilder();
            while (text.Length < 100_000)
            {
                text.Append(words[(int)Math.Pow(words.Length, random.NextDouble()) - 1]).Append(random.Next(12) switch { 0 => ".\n", 1 => ", ", 2 => $" {random.Next(2000)} ", _ => " " });
            }
            texts.Add(text.ToString());
            left -= text.Length;
        }
        return texts;
    }
}
