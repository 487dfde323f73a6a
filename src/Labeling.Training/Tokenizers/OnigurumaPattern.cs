using System.Globalization;
using System.Text;

namespace Labeling.Training.Tokenizers;

/// <summary>
/// Translates the regular expressions of tokenizer.json, which follow Oniguruma's Ruby syntax, into .NET's: possessive quantifiers,
/// classes inside classes, POSIX brackets, <c>\h</c>, <c>\x{...}</c> and the wider meaning of <c>\w</c>. <c>^</c> and <c>$</c> mean line
/// ends there, so the result needs RegexOptions.Multiline.
/// </summary>
internal sealed class OnigurumaPattern
{
    /// <summary>Alphabetic characters, marks, digits, connectors, and the fractions and superscripts of Latin-1.</summary>
    private const string WordCharacters = @"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\u24b6-\u24e9\u00b2\u00b3\u00b9\u00bc-\u00be";

    private readonly string pattern;
    private readonly string where;
    private readonly StringBuilder output = new();
    private int at;

    private OnigurumaPattern(string pattern, string where) => (this.pattern, this.where) = (pattern, where);

    /// <exception cref="InvalidDataException">The pattern uses something that has no counterpart here; the message names it.</exception>
    public static string ToDotNet(string pattern, string where)
    {
        if (pattern.AsSpan().ContainsAnyInRange('\ud800', '\udfff'))
        {
            throw new InvalidDataException($"{where} names single characters above U+FFFF, which is not supported: {pattern}");
        }
        return new OnigurumaPattern(pattern, where).Translate();
    }

    private string Translate()
    {
        var groups = new Stack<int>();
        var atom = -1;
        while (at < pattern.Length)
        {
            var c = pattern[at];
            var start = output.Length;
            switch (c)
            {
                case '\\':
                    Escape(inClass: false);
                    atom = start;
                    break;
                case '[':
                    at++;
                    output.Append('[');
                    Class(outermost: true);
                    output.Append(']');
                    atom = start;
                    break;
                case '(':
                    groups.Push(start);
                    OpenGroup();
                    atom = -1;
                    break;
                case ')':
                    atom = groups.TryPop(out var opened) ? opened : start;
                    output.Append(c);
                    at++;
                    break;
                case '?' or '*' or '+' when atom >= 0:
                    Quantifier(atom, c.ToString(), possessive: true);
                    break;
                case '{' when atom >= 0 && Interval() is { } interval:
                    at += interval.Length - 1;
                    Quantifier(atom, interval.StartsWith("{,", StringComparison.Ordinal) ? "{0" + interval[1..] : interval, possessive: false);
                    break;
                default:
                    output.Append(c);
                    at++;
                    atom = c == '|' ? -1 : start;
                    break;
            }
        }
        return output.ToString();
    }

    /// <summary>A quantifier and what follows it: <c>?</c> makes it lazy, <c>+</c> possessive (after an interval: a repetition of the interval).</summary>
    private void Quantifier(int atom, string quantifier, bool possessive)
    {
        at++;
        output.Append(quantifier);
        if (at < pattern.Length && pattern[at] == '?')
        {
            output.Append('?');
            at++;
        }
        else if (at < pattern.Length && pattern[at] == '+')
        {
            output.Insert(atom, possessive ? "(?>" : "(?:").Append(possessive ? ")" : ")+");
            at++;
        }
    }

    private string? Interval()
    {
        var end = pattern.IndexOf('}', at);
        return end > at + 1 && pattern[(at + 1)..end].All(c => char.IsAsciiDigit(c) || c == ',') ? pattern[at..(end + 1)] : null;
    }

    private void OpenGroup()
    {
        var end = at + 1;
        if (end < pattern.Length && pattern[end] == '?')
        {
            end++;
            while (end < pattern.Length && (char.IsAsciiLetter(pattern[end]) || pattern[end] is '-' or '<'))
            {
                end++;
            }
            if (end < pattern.Length && pattern[end] is ':' or '=' or '!' or '>')
            {
                end++;
            }
        }
        output.Append(pattern, at, end - at);
        at = end;
    }

    /// <summary>The inside of a class up to and with its <c>]</c>; a class inside it is a union with it.</summary>
    private void Class(bool outermost)
    {
        if (at < pattern.Length && pattern[at] == '^')
        {
            if (!outermost)
            {
                throw Unsupported("a negated class inside a class");
            }
            output.Append('^');
            at++;
        }
        for (var first = true; ; first = false)
        {
            if (at >= pattern.Length)
            {
                throw Unsupported("a class without an end");
            }
            var c = pattern[at];
            if (c == ']' && !first)
            {
                at++;
                return;
            }
            if (c == '[')
            {
                if (string.CompareOrdinal(pattern, at, "[:", 0, 2) == 0 && pattern.IndexOf(":]", at, StringComparison.Ordinal) is var end and > 0)
                {
                    output.Append(Posix(pattern[(at + 2)..end]));
                    at = end + 2;
                }
                else
                {
                    at++;
                    Class(outermost: false);
                }
            }
            else if (c == '&' && at + 1 < pattern.Length && pattern[at + 1] == '&')
            {
                throw Unsupported("an intersection of classes (&&)");
            }
            else if (c == '\\')
            {
                Escape(inClass: true);
            }
            else
            {
                // A bracket as the first character of a class stands for itself.
                output.Append(c == ']' ? @"\]" : c.ToString());
                at++;
            }
        }
    }

    private void Escape(bool inClass)
    {
        if (at + 1 >= pattern.Length)
        {
            throw Unsupported("a backslash at the end");
        }
        var c = pattern[at + 1];
        if (c == 'x' && at + 2 < pattern.Length && pattern[at + 2] == '{' && pattern.IndexOf('}', at) is var close and > 0)
        {
            if (!int.TryParse(pattern.AsSpan(at + 3, close - at - 3), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var code) || code > 0xFFFF)
            {
                throw Unsupported(pattern[at..(close + 1)]);
            }
            output.Append(CultureInfo.InvariantCulture, $"\\u{code:x4}");
            at = close + 1;
            return;
        }
        if (c is 'p' or 'P' && at + 2 < pattern.Length && pattern[at + 2] == '{' && pattern.IndexOf('}', at) is var end and > 0)
        {
            var name = pattern[(at + 3)..end];
            var negated = name.StartsWith('^') != (c == 'P');
            output.Append(negated ? @"\P{" : @"\p{").Append(name.TrimStart('^')).Append('}');
            at = end + 1;
            return;
        }
        output.Append(c switch
        {
            'w' => inClass ? WordCharacters : $"[{WordCharacters}]",
            'W' when !inClass => $"[^{WordCharacters}]",
            'h' => inClass ? "0-9a-fA-F" : "[0-9a-fA-F]",
            'W' or 'H' or 'R' or 'X' or 'K' or 'G' => throw Unsupported("\\" + c),
            _ => pattern.Substring(at, 2),
        });
        at += 2;
    }

    private string Posix(string name) => name switch
    {
        "alpha" => @"\p{L}\p{Nl}\p{Mc}\u24b6-\u24e9",
        "digit" => @"\p{Nd}",
        "alnum" => @"\p{L}\p{Nl}\p{Mc}\p{Nd}\u24b6-\u24e9",
        "upper" => @"\p{Lu}",
        "lower" => @"\p{Ll}",
        "space" => @"\s",
        "punct" => @"\p{P}\p{S}",
        "word" => WordCharacters,
        "xdigit" => "0-9a-fA-F",
        _ => throw Unsupported($"[:{name}:]"),
    };

    private InvalidDataException Unsupported(string what) => new($"{where} uses {what}, which is not supported: {pattern}");
}
