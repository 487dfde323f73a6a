using Labeling.Training.Runs;

namespace Labeling.Training.Pretraining;

/// <summary>
/// Hashes of word n-grams, the features by which documents are judged and compared. Words are runs of letters and digits in lower case; case, punctuation
/// and spacing make no difference. A text without any is taken as one word, character by character.
/// </summary>
internal static class WordGrams
{
    /// <summary>64-bit hashes of all grams of <paramref name="length"/> words, in order, repeats included. A text with fewer words is one gram.</summary>
    public static List<ulong> Hashes(string text, int length)
    {
        var words = Words(text);
        var grams = new List<ulong>(Math.Max(1, words.Count - length + 1));
        for (var first = 0; first == 0 || first + length <= words.Count; first++)
        {
            var hash = (ulong)length;
            foreach (var word in words.Skip(first).Take(length))
            {
                hash = Seeds.Mix(hash + word);
            }
            grams.Add(hash);
        }
        return grams;
    }

    private static List<ulong> Words(string text)
    {
        var words = new List<ulong>();
        for (var at = 0; at < text.Length;)
        {
            var end = at;
            while (end < text.Length && char.IsLetterOrDigit(text[end]))
            {
                end++;
            }
            if (end > at)
            {
                words.Add(Hash(text.AsSpan(at, end - at)));
            }
            at = end + 1;
        }
        return words.Count > 0 ? words : [Hash(text)];
    }

    /// <summary>FNV-1a: string hashes of .NET differ from process to process.</summary>
    private static ulong Hash(ReadOnlySpan<char> word)
    {
        var hash = 14695981039346656037UL;
        foreach (var c in word)
        {
            hash = (hash ^ char.ToLowerInvariant(c)) * 1099511628211UL;
        }
        return hash;
    }
}
