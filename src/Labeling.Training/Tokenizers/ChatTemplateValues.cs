using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace Labeling.Training.Tokenizers;

/// <summary>The value of a name or attribute that does not exist: prints as nothing, is false, and refuses to be used further.</summary>
internal sealed record TemplateUndefined(string Name);

/// <summary>A dictionary that keeps the order of its keys, as Python's does.</summary>
internal sealed class TemplateMap : IEnumerable<KeyValuePair<string, object?>>
{
    private readonly OrderedDictionary<string, object?> _entries = [];

    public object? this[string key] { get => _entries[key]; set => _entries[key] = value; }

    public int Count => _entries.Count;

    public IEnumerable<string> Keys => _entries.Keys;

    public IEnumerable<object?> Values => _entries.Values;

    public bool TryGet(string key, out object? value) => _entries.TryGetValue(key, out value);

    public IEnumerator<KeyValuePair<string, object?>> GetEnumerator() => _entries.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>A list that prints in parentheses and equals no list.</summary>
internal sealed class TemplateTuple(IEnumerable<object?> items) : List<object?>(items);

/// <summary>What <c>namespace()</c> makes: attributes that may be set from inside a loop.</summary>
internal sealed class TemplateNamespace
{
    public Dictionary<string, object?> Attributes { get; } = [];
}

/// <summary>A function, a method bound to its value, or a macro.</summary>
internal delegate object? TemplateFunction(IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named);

/// <summary>Variables by name; inner scopes see outer ones, and what is set inside stays inside.</summary>
internal sealed class TemplateScope(TemplateScope? outer)
{
    private readonly Dictionary<string, object?> _variables = [];

    public void Set(string name, object? value) => _variables[name] = value;

    public bool TryGet(string name, out object? value)
    {
        for (TemplateScope? scope = this; scope is not null; scope = scope.Outer)
            if (scope._variables.TryGetValue(name, out value))
                return true;
        value = null;
        return false;
    }

    private TemplateScope? Outer { get; } = outer;
}

/// <summary>
/// Python's rules for the values a template works with: null, bool, long, double, string, List, TemplateMap, TemplateNamespace,
/// TemplateFunction and TemplateUndefined.
/// </summary>
internal static class ChatTemplateValues
{
    /// <summary>Templates may multiply texts and ranges; past this many characters or items they are refused.</summary>
    public const int MaxLength = 10_000_000;

    public static ChatTemplateException Error(string message) => new($"Chat template: {message}.");

    public static bool IsTrue(object? value) => value switch
    {
        null or TemplateUndefined => false,
        bool b => b,
        long n => n != 0,
        double d => d != 0,
        string s => s.Length > 0,
        List<object?> l => l.Count > 0,
        TemplateMap m => m.Count > 0,
        _ => true,
    };

    public static string TypeName(object? value) => value switch
    {
        null => "none",
        TemplateUndefined u => $"undefined ('{u.Name}')",
        bool => "boolean",
        long => "integer",
        double => "float",
        string => "string",
        List<object?> => "list",
        TemplateMap => "mapping",
        TemplateNamespace => "namespace",
        _ => "function",
    };

    /// <summary>The value as a template prints it.</summary>
    public static string Print(object? value) => value switch
    {
        string s => s,
        TemplateUndefined => "",
        _ => Repr(value),
    };

    public static string Repr(object? value)
    {
        switch (value)
        {
            case null: return "None";
            case bool b: return b ? "True" : "False";
            case long n: return n.ToString(CultureInfo.InvariantCulture);
            case double d: return FloatText(d);
            case string s: return QuotedText(s);
            case TemplateTuple t: return $"({string.Join(", ", t.Select(Repr))}{(t.Count == 1 ? "," : "")})";
            case List<object?> l: return $"[{string.Join(", ", l.Select(Repr))}]";
            case TemplateMap m: return $"{{{string.Join(", ", m.Select(e => $"{QuotedText(e.Key)}: {Repr(e.Value)}"))}}}";
            case TemplateUndefined: return "Undefined";
            default: throw Error($"a {TypeName(value)} cannot be printed");
        }
    }

    public static string FloatText(double d)
    {
        if (double.IsNaN(d))
            return "nan";
        if (double.IsInfinity(d))
            return d > 0 ? "inf" : "-inf";
        double magnitude = Math.Abs(d);
        if (d == Math.Floor(d) && magnitude < 1e16)
            return d.ToString("F1", CultureInfo.InvariantCulture);
        string text = d.ToString("R", CultureInfo.InvariantCulture);
        return text.Replace("E", "e", StringComparison.Ordinal);
    }

    private static string QuotedText(string s)
    {
        char quote = s.Contains('\'') && !s.Contains('"') ? '"' : '\'';
        StringBuilder text = new();
        text.Append(quote);
        foreach (char c in s)
        {
            if (c == quote || c == '\\')
                text.Append('\\').Append(c);
            else if (c is '\n' or '\r' or '\t')
                text.Append('\\').Append(c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
            else if (c < ' ' || c == '\x7f')
                text.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:x2}");
            else
                text.Append(c);
        }
        return text.Append(quote).ToString();
    }

    public static bool AreEqual(object? a, object? b)
    {
        if (IsNumber(a) && IsNumber(b))
            return a is double || b is double ? ToDouble(a) == ToDouble(b) : ToLong(a) == ToLong(b);
        return (a, b) switch
        {
            (null, null) => true,
            (TemplateUndefined, TemplateUndefined) => true,
            (string x, string y) => x == y,
            (List<object?> x, List<object?> y) => x is TemplateTuple == y is TemplateTuple && x.Count == y.Count && x.Zip(y).All(p => AreEqual(p.First, p.Second)),
            (TemplateMap x, TemplateMap y) => x.Count == y.Count && x.All(e => y.TryGet(e.Key, out object? other) && AreEqual(e.Value, other)),
            _ => ReferenceEquals(a, b),
        };
    }

    public static int Compare(object? a, object? b)
    {
        if (IsNumber(a) && IsNumber(b))
            return a is double || b is double ? ToDouble(a).CompareTo(ToDouble(b)) : ToLong(a).CompareTo(ToLong(b));
        if (a is string x && b is string y)
            return string.CompareOrdinal(x, y);
        if (a is List<object?> left && b is List<object?> right)
        {
            for (int i = 0; i < left.Count && i < right.Count; i++)
                if (!AreEqual(left[i], right[i]))
                    return Compare(left[i], right[i]);
            return left.Count.CompareTo(right.Count);
        }
        throw Error($"{TypeName(a)} and {TypeName(b)} cannot be ordered");
    }

    public static bool Contains(object? container, object? item) => container switch
    {
        string s => item is string part ? s.Contains(part, StringComparison.Ordinal) : throw Error($"a {TypeName(item)} cannot be in a string"),
        List<object?> l => l.Any(x => AreEqual(x, item)),
        TemplateMap m => item is string key && m.TryGet(key, out _),
        TemplateUndefined => false,
        _ => throw Error($"'in' needs a string, list or mapping, not {TypeName(container)}"),
    };

    public static bool IsNumber([NotNullWhen(true)] object? value) => value is bool or long or double;

    public static double ToDouble(object value) => value is double d ? d : ToLong(value);

    public static long ToLong(object value) => value is bool b ? (b ? 1 : 0) : (long)value;

    public static int ToInt(object? value, string what) => value switch
    {
        bool b => b ? 1 : 0,
        long n when n is >= int.MinValue and <= int.MaxValue => (int)n,
        _ => throw Error($"{what} must be an integer, not {TypeName(value)}"),
    };

    /// <summary>The items of something a loop can walk: characters of a text, keys of a mapping, nothing where it is undefined.</summary>
    public static List<object?> Items(object? value) => value switch
    {
        List<object?> l => l,
        TemplateMap m => m.Keys.Cast<object?>().ToList(),
        string s => s.EnumerateRunes().Select(object? (r) => r.ToString()).ToList(),
        TemplateUndefined => [],
        _ => throw Error($"a {TypeName(value)} cannot be walked through"),
    };

    /// <summary>Length as Python counts it: texts in code points.</summary>
    public static long Length(object? value) => value switch
    {
        string s => s.EnumerateRunes().Count(),
        List<object?> l => l.Count,
        TemplateMap m => m.Count,
        TemplateUndefined => 0,
        _ => throw Error($"a {TypeName(value)} has no length"),
    };

    /// <summary>An item by position (negative from the end) or key; undefined where there is none.</summary>
    public static object? Index(object? target, object? index)
    {
        if (target is TemplateUndefined undefined)
            throw Error($"'{undefined.Name}' is undefined");
        if (target is List<object?> or string && IsNumber(index))
        {
            List<object?> items = Items(target);
            int at = ToInt(index, "an index");
            if (at < 0)
                at += items.Count;
            return at >= 0 && at < items.Count ? items[at] : new TemplateUndefined($"item {Repr(index)}");
        }
        if (index is not string key)
            return new TemplateUndefined(Print(index));
        if (target is TemplateMap map && map.TryGet(key, out object? value))
            return value;
        return Attribute(target, key);
    }

    /// <summary>What <c>attribute='a.b'</c> means: one attribute or item after the other.</summary>
    public static object? Path(object? target, object? path)
    {
        if (path is not string names)
            return Index(target, path);
        foreach (string name in names.Split('.'))
        {
            if (target is TemplateUndefined)
                return target;
            target = int.TryParse(name, CultureInfo.InvariantCulture, out int at) ? Index(target, (long)at) : Index(target, name);
        }
        return target;
    }

    /// <summary>A method, an attribute or, in a mapping, an entry; undefined where there is none.</summary>
    public static object? Attribute(object? target, string name)
    {
        if (target is TemplateUndefined undefined)
            throw Error($"'{undefined.Name}' is undefined");
        if (target is TemplateNamespace ns)
            return ns.Attributes.TryGetValue(name, out object? attribute) ? attribute : new TemplateUndefined(name);
        if (ChatTemplateMethods.Find(target, name) is { } method)
            return method;
        return target is TemplateMap map && map.TryGet(name, out object? value) ? value : new TemplateUndefined(name);
    }

    /// <summary>Python's slice of a text or list.</summary>
    public static object? Slice(object? target, object? start, object? stop, object? step)
    {
        if (target is not (string or List<object?>))
            throw Error($"a {TypeName(target)} cannot be sliced");
        List<object?> items = Items(target);
        long stride = step is null ? 1 : ToInt(step, "a slice step");
        if (stride == 0)
            throw Error("a slice step cannot be 0");
        long length = items.Count;
        long low = stride > 0 ? 0 : -1;
        long high = stride > 0 ? length : length - 1;
        long Clamp(object? bound, long absent)
        {
            if (bound is null)
                return absent;
            long at = ToInt(bound, "a slice bound");
            return Math.Clamp(at < 0 ? at + length : at, low, high);
        }
        long from = Clamp(start, stride > 0 ? low : high);
        long to = Clamp(stop, stride > 0 ? high : low);
        List<object?> taken = [];
        for (long i = from; stride > 0 ? i < to : i > to; i += stride)
            taken.Add(items[(int)i]);
        return target is string ? string.Concat(taken.Cast<string>()) : target is TemplateTuple ? new TemplateTuple(taken) : taken;
    }
}
