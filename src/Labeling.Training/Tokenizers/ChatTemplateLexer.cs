using System.Globalization;
using System.Text;

namespace Labeling.Training.Tokenizers;

internal enum TemplateTokenKind { Text, BeginOutput, EndOutput, BeginBlock, EndBlock, Name, String, Integer, Float, Operator, End }

internal readonly record struct TemplateToken(TemplateTokenKind Kind, string Text, int Line)
{
    public bool IsOperator(string text) => Kind == TemplateTokenKind.Operator && Text == text;

    public bool IsName(string text) => Kind == TemplateTokenKind.Name && Text == text;

    public override string ToString() => Kind == TemplateTokenKind.End ? "the end of the template" : $"'{Text}'";
}

/// <summary>
/// Cuts a template into tokens. Whitespace around tags is settled here, as in Jinja's own lexer: a minus sign strips on its side,
/// a plus sign keeps, otherwise the newline after a block tag goes (<c>trim_blocks</c>) and so do the blanks before one that stands
/// first on its line (<c>lstrip_blocks</c>).
/// </summary>
internal sealed class ChatTemplateLexer
{
    private static readonly string[] Operators =
    [
        "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ".", ":", "|",
    ];

    private readonly string _source;
    private readonly List<TemplateToken> _tokens = [];
    private int _position;
    private int _line = 1;
    private bool _lineStarting = true;

    private ChatTemplateLexer(string source) => _source = source;

    public static IReadOnlyList<TemplateToken> Read(string template)
    {
        string source = template.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        if (source.EndsWith('\n'))
            source = source[..^1];
        ChatTemplateLexer lexer = new(source);
        while (lexer._position < source.Length)
            lexer.ReadTextAndTag();
        lexer.Add(TemplateTokenKind.End, "");
        return lexer._tokens;
    }

    private void ReadTextAndTag()
    {
        int tag = FindTag(_position);
        if (tag < 0)
        {
            AddText(_source[_position..]);
            Advance(_source.Length);
            return;
        }
        string text = _source[_position..tag];
        char kind = _source[tag + 1];
        char sign = tag + 2 < _source.Length ? _source[tag + 2] : '\0';
        if (sign == '-')
            text = text.TrimEnd();
        else if (sign != '+' && kind != '{')
            text = StripBlanksBeforeBlock(text);
        AddText(text);
        Advance(tag);
        Advance(tag + (sign is '-' or '+' ? 3 : 2));
        if (kind == '#')
            SkipComment();
        else if (kind == '%' && IsRaw())
            ReadRaw();
        else
            ReadTag(kind == '%');
    }

    private int FindTag(int from)
    {
        for (int at = _source.IndexOf('{', from); at >= 0 && at + 1 < _source.Length; at = _source.IndexOf('{', at + 1))
            if (_source[at + 1] is '{' or '%' or '#')
                return at;
        return -1;
    }

    private string StripBlanksBeforeBlock(string text)
    {
        int lineStart = text.LastIndexOf('\n') + 1;
        return (lineStart > 0 || _lineStarting) && string.IsNullOrWhiteSpace(text[lineStart..]) ? text[..lineStart] : text;
    }

    private void SkipComment()
    {
        int end = _source.IndexOf("#}", _position, StringComparison.Ordinal);
        if (end < 0)
            throw Error("a comment is not closed with '#}'");
        char sign = _source[end - 1];
        Advance(end + 2);
        TrimAfterBlock(sign);
    }

    private void ReadTag(bool block)
    {
        Add(block ? TemplateTokenKind.BeginBlock : TemplateTokenKind.BeginOutput, block ? "{%" : "{{");
        string close = block ? "%}" : "}}";
        Stack<char> open = new();
        while (true)
        {
            while (_position < _source.Length && char.IsWhiteSpace(_source[_position]))
                Advance(_position + 1);
            if (_position >= _source.Length)
                throw Error($"a tag is not closed with '{close}'");
            if (open.Count == 0 && EndOfTag(close) is { } sign)
            {
                Add(block ? TemplateTokenKind.EndBlock : TemplateTokenKind.EndOutput, close);
                Advance(_position + close.Length + (sign == '\0' ? 0 : 1));
                if (block || sign == '-')
                    TrimAfterBlock(sign);
                else
                    _lineStarting = false;
                return;
            }
            ReadExpressionToken(open);
        }
    }

    /// <summary>The whitespace sign of the closing tag at the current position, '\0' for none, or null where no tag closes.</summary>
    private char? EndOfTag(string close)
    {
        if (At(close, 0))
            return '\0';
        char sign = _source[_position];
        return sign is '-' or '+' && At(close, 1) && !(sign == '+' && close == "}}") ? sign : null;
    }

    private void TrimAfterBlock(char sign)
    {
        int start = _position;
        if (sign == '-')
            while (_position < _source.Length && char.IsWhiteSpace(_source[_position]))
                Advance(_position + 1);
        else if (sign != '+' && _position < _source.Length && _source[_position] == '\n')
            Advance(_position + 1);
        _lineStarting = _position > start && _source[_position - 1] == '\n';
    }

    private void ReadExpressionToken(Stack<char> open)
    {
        char c = _source[_position];
        if (c is '\'' or '"')
            ReadString(c);
        else if (char.IsAsciiDigit(c))
            ReadNumber();
        else if (char.IsLetter(c) || c == '_')
            AddSpan(TemplateTokenKind.Name, EndOf(ch => char.IsLetterOrDigit(ch) || ch == '_'));
        else
        {
            string? op = Operators.FirstOrDefault(o => At(o, 0)) ?? throw Error($"unexpected character '{c}'");
            if (op is "(" or "[" or "{")
                open.Push(op[0]);
            else if (op is ")" or "]" or "}" && (!open.TryPop(out char opener) || "([{".IndexOf(opener) != ")]}".IndexOf(op[0])))
                throw Error($"'{op}' closes nothing");
            AddSpan(TemplateTokenKind.Operator, _position + op.Length);
        }
    }

    private void ReadNumber()
    {
        int end = EndOf(ch => char.IsAsciiDigit(ch) || ch == '_');
        TemplateTokenKind kind = TemplateTokenKind.Integer;
        if (end + 1 < _source.Length && _source[end] == '.' && char.IsAsciiDigit(_source[end + 1]))
        {
            kind = TemplateTokenKind.Float;
            end++;
            while (end < _source.Length && char.IsAsciiDigit(_source[end]))
                end++;
        }
        if (end < _source.Length && _source[end] is 'e' or 'E')
        {
            int digits = end + 1 < _source.Length && _source[end + 1] is '+' or '-' ? end + 2 : end + 1;
            if (digits < _source.Length && char.IsAsciiDigit(_source[digits]))
            {
                kind = TemplateTokenKind.Float;
                end = digits;
                while (end < _source.Length && char.IsAsciiDigit(_source[end]))
                    end++;
            }
        }
        AddSpan(kind, end);
    }

    private void ReadString(char quote)
    {
        StringBuilder text = new();
        int at = _position + 1;
        while (true)
        {
            if (at >= _source.Length)
                throw Error("a string is not closed");
            char c = _source[at++];
            if (c == quote)
                break;
            if (c != '\\')
                text.Append(c);
            else if (at < _source.Length)
                at = ReadEscape(at, text);
        }
        Add(TemplateTokenKind.String, text.ToString());
        Advance(at);
    }

    private int ReadEscape(int at, StringBuilder text)
    {
        char c = _source[at++];
        switch (c)
        {
            case 'n': text.Append('\n'); return at;
            case 't': text.Append('\t'); return at;
            case 'r': text.Append('\r'); return at;
            case 'b': text.Append('\b'); return at;
            case 'f': text.Append('\f'); return at;
            case 'v': text.Append('\v'); return at;
            case 'a': text.Append('\a'); return at;
            case '0': text.Append('\0'); return at;
            case '\\' or '\'' or '"': text.Append(c); return at;
            case '\n': return at;
            case 'x': return ReadHex(at, 2, text);
            case 'u': return ReadHex(at, 4, text);
            case 'U': return ReadHex(at, 8, text);
            default: text.Append('\\').Append(c); return at;
        }
    }

    private int ReadHex(int at, int digits, StringBuilder text)
    {
        if (at + digits > _source.Length
            || !uint.TryParse(_source.AsSpan(at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint code)
            || code > 0x10FFFF)
            throw Error($"an escape needs {digits} hexadecimal digits of a character");
        if (code < 0x10000)
            text.Append((char)code);
        else
            text.Append(char.ConvertFromUtf32((int)code));
        return at + digits;
    }

    private bool IsRaw() => RawTagEnd(_position, "raw") >= 0;

    /// <summary>The position after the name when the tag that opens at <paramref name="at"/> says it, else -1.</summary>
    private int RawTagEnd(int at, string name)
    {
        while (at < _source.Length && char.IsWhiteSpace(_source[at]))
            at++;
        if (string.CompareOrdinal(_source, at, name, 0, name.Length) != 0)
            return -1;
        at += name.Length;
        while (at < _source.Length && char.IsWhiteSpace(_source[at]))
            at++;
        if (at < _source.Length && _source[at] is '-' or '+')
            at++;
        return string.CompareOrdinal(_source, at, "%}", 0, 2) == 0 ? at + 2 : -1;
    }

    private void ReadRaw()
    {
        int body = RawTagEnd(_position, "raw");
        char opening = _source[body - 3];
        Advance(body);
        TrimAfterBlock(opening);
        for (int at = _source.IndexOf("{%", _position, StringComparison.Ordinal); at >= 0; at = _source.IndexOf("{%", at + 2, StringComparison.Ordinal))
        {
            char sign = at + 2 < _source.Length ? _source[at + 2] : '\0';
            int end = RawTagEnd(at + (sign is '-' or '+' ? 3 : 2), "endraw");
            if (end < 0)
                continue;
            string text = _source[_position..at];
            AddText(sign == '-' ? text.TrimEnd() : sign == '+' ? text : StripBlanksBeforeBlock(text));
            char closing = _source[end - 3];
            Advance(end);
            TrimAfterBlock(closing);
            return;
        }
        throw Error("'raw' is not closed with 'endraw'");
    }

    private int EndOf(Func<char, bool> belongs)
    {
        int end = _position;
        while (end < _source.Length && belongs(_source[end]))
            end++;
        return end;
    }

    private bool At(string text, int offset) => string.CompareOrdinal(_source, _position + offset, text, 0, text.Length) == 0;

    private void AddText(string text)
    {
        if (text.Length > 0)
            Add(TemplateTokenKind.Text, text);
    }

    private void Add(TemplateTokenKind kind, string text) => _tokens.Add(new TemplateToken(kind, text, _line));

    private void AddSpan(TemplateTokenKind kind, int end)
    {
        Add(kind, _source[_position..end]);
        Advance(end);
    }

    private void Advance(int to)
    {
        _line += _source.AsSpan(_position, to - _position).Count('\n');
        _position = to;
    }

    private ChatTemplateException Error(string what) => new($"Chat template, line {_line}: {what}.");
}
