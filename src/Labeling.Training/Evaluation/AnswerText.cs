using System.Globalization;
using System.Text.RegularExpressions;

namespace Labeling.Training.Evaluation;

/// <summary>When two short answers say the same.</summary>
public static partial class AnswerText
{
    /// <summary>
    /// SQuAD's normalisation (Rajpurkar et al. 2016, arXiv 1606.05250): lower case, without punctuation, articles and extra spaces. Unlike there, numbers
    /// keep their sign and decimal point and are compared by value ("$1,000.00" is 1000), and an answer that is nothing but an article ("A") stays.
    /// </summary>
    public static string Normalise(string text)
    {
        var words = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(Word).Where(w => w.Length > 0).ToList();
        var meaning = words.Where(w => w is not ("a" or "an" or "the")).ToList();
        return string.Join(' ', meaning.Count > 0 ? meaning : words);
    }

    /// <summary>True when the answer says the same as one of the accepted ones.</summary>
    public static bool Matches(string answer, IEnumerable<string> accepted)
    {
        var said = Normalise(answer);
        return said.Length > 0 && accepted.Any(a => Normalise(a) == said);
    }

    /// <summary>What a generated text gives as its answer: the rest of the line after the last marker; null when the marker is not there.</summary>
    public static string? After(string text, string marker)
    {
        var at = text.LastIndexOf(marker, StringComparison.OrdinalIgnoreCase);
        return at < 0 ? null : FirstLine(text[(at + marker.Length)..].TrimStart(' ', ':'));
    }

    /// <summary>The text up to its first line break, trimmed.</summary>
    public static string FirstLine(string text)
    {
        var trimmed = text.Trim();
        var end = trimmed.IndexOf('\n');
        return end < 0 ? trimmed : trimmed[..end].TrimEnd();
    }

    private static string Word(string word)
    {
        var number = word.Trim('$', '€', '£', '%', '(', ')', '"', '\'').TrimEnd('.', ',', ';', ':', '!', '?').TrimEnd('%');
        if (Number().IsMatch(number) && decimal.TryParse(number, NumberStyles.Number, CultureInfo.InvariantCulture, out var value))
        {
            return value.ToString("0.############################", CultureInfo.InvariantCulture);
        }
        return string.Concat(word.ToLowerInvariant().Where(c => !char.IsPunctuation(c) && !char.IsSymbol(c)));
    }

    [GeneratedRegex(@"^[-+]?(\d+|\d{1,3}(,\d{3})+)?(\.\d+)?(?<=\d)$")]
    private static partial Regex Number();
}
