using System.Globalization;
using System.Text;

namespace Labeling.Training.Tokenizers;

/// <summary>
/// Unicode normalisation (Unicode Standard Annex 15) from a table of its own: programs here run without the system's Unicode library, and
/// string.Normalize then refuses or changes nothing.
/// </summary>
internal static class UnicodeNormalizer
{
    private const string Resource = "Labeling.Training.Tokenizers.unicode-normalization.txt";

    // Hangul syllables are composed by arithmetic (The Unicode Standard, section 3.12).
    private const int Syllables = 0xAC00, Leads = 0x1100, Vowels = 0x1161, Tails = 0x11A7;
    private const int VowelCount = 21, TailCount = 28, SyllableCount = 19 * VowelCount * TailCount;

    private static readonly Lazy<Data> Loaded = new(Load);

    /// <summary>Canonical composition (NFC), or compatibility composition (NFKC).</summary>
    public static string Compose(string text, bool compatibility)
    {
        // Nothing below U+0300 combines, and below U+00A0 nothing has another form.
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', compatibility ? '\u009f' : '\u02ff') < 0)
        {
            return text;
        }
        var runes = Decomposed(text, compatibility);
        var starter = -1;
        var previousClass = 0;
        var length = 0;
        for (var i = 0; i < runes.Count; i++)
        {
            var (code, combining) = runes[i];
            // Blocked when something of the same or a higher class stands between the starter and this character.
            var adjacent = starter == length - 1;
            if (starter >= 0 && (adjacent || previousClass < combining) && Composite(runes[starter].Code, code) is { } composite)
            {
                runes[starter] = (composite, 0);
                continue;
            }
            if (combining == 0)
            {
                starter = length;
            }
            previousClass = combining;
            runes[length++] = (code, combining);
        }
        return Text(runes, length);
    }

    /// <summary>Canonical decomposition (NFD), or compatibility decomposition (NFKD).</summary>
    public static string Decompose(string text, bool compatibility)
    {
        if (text.AsSpan().IndexOfAnyExceptInRange('\0', '\u009f') < 0)
        {
            return text;
        }
        var runes = Decomposed(text, compatibility);
        return Text(runes, runes.Count);
    }

    private static List<(int Code, int Class)> Decomposed(string text, bool compatibility)
    {
        var data = Loaded.Value;
        var runes = new List<(int Code, int Class)>(text.Length + 8);
        foreach (var rune in text.EnumerateRunes())
        {
            Expand(rune.Value);
        }
        // Marks between two starters are put in order of their class; those of one class keep theirs.
        for (var i = 1; i < runes.Count; i++)
        {
            for (var j = i; j > 0 && runes[j].Class > 0 && runes[j - 1].Class > runes[j].Class; j--)
            {
                (runes[j], runes[j - 1]) = (runes[j - 1], runes[j]);
            }
        }
        return runes;

        void Expand(int code)
        {
            if (code is >= Syllables and < Syllables + SyllableCount)
            {
                var index = code - Syllables;
                runes.Add((Leads + (index / (VowelCount * TailCount)), 0));
                runes.Add((Vowels + (index % (VowelCount * TailCount) / TailCount), 0));
                if (index % TailCount > 0)
                {
                    runes.Add((Tails + (index % TailCount), 0));
                }
            }
            else if (data.Canonical.TryGetValue(code, out var parts) || (compatibility && data.Compatibility.TryGetValue(code, out parts)))
            {
                foreach (var part in parts)
                {
                    Expand(part);
                }
            }
            else
            {
                runes.Add((code, data.Classes.GetValueOrDefault(code)));
            }
        }
    }

    private static int? Composite(int first, int second)
    {
        if (first is >= Leads and < Leads + 19 && second is >= Vowels and < Vowels + VowelCount)
        {
            return Syllables + ((((first - Leads) * VowelCount) + (second - Vowels)) * TailCount);
        }
        if (first is >= Syllables and < Syllables + SyllableCount && (first - Syllables) % TailCount == 0 && second is > Tails and < Tails + TailCount)
        {
            return first + (second - Tails);
        }
        return Loaded.Value.Composites.TryGetValue((first, second), out var composite) ? composite : null;
    }

    private static string Text(List<(int Code, int Class)> runes, int length)
    {
        var text = new StringBuilder(length);
        Span<char> units = stackalloc char[2];
        for (var i = 0; i < length; i++)
        {
            text.Append(units[..new Rune(runes[i].Code).EncodeToUtf16(units)]);
        }
        return text.ToString();
    }

    private static Data Load()
    {
        var data = new Data([], [], [], []);
        using var reader = new StreamReader(typeof(UnicodeNormalizer).Assembly.GetManifestResourceStream(Resource)!);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
            {
                continue;
            }
            var at = line.AsSpan().IndexOfAny("=>~@");
            if (line[at] == '@')
            {
                var range = line[..at].Split('-');
                for (var code = Hex(range[0]); code <= Hex(range[^1]); code++)
                {
                    data.Classes[code] = int.Parse(line.AsSpan(at + 1), CultureInfo.InvariantCulture);
                }
                continue;
            }
            var parts = line[(at + 1)..].Split(' ').Select(Hex).ToArray();
            (line[at] == '~' ? data.Compatibility : data.Canonical)[Hex(line[..at])] = parts;
            if (line[at] == '=')
            {
                data.Composites[(parts[0], parts[1])] = Hex(line[..at]);
            }
        }
        return data;
    }

    private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private sealed record Data(Dictionary<int, int[]> Canonical, Dictionary<int, int[]> Compatibility, Dictionary<(int, int), int> Composites, Dictionary<int, int> Classes);
}
