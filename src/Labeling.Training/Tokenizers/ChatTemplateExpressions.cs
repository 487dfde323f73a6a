using System.Globalization;

namespace Labeling.Training.Tokenizers;

/// <summary>
/// Expressions, by Jinja's precedence from loose to tight: conditional, or, and, not, comparison, sum, ~, product, power, sign,
/// then attribute, call, filter and test, which bind to the operand directly before them.
/// </summary>
internal sealed partial class ChatTemplateParser
{
    private static readonly string[] Comparisons = ["==", "!=", "<", "<=", ">", ">="];

    private TemplateExpression ParseTuple(bool conditional = true)
    {
        int line = Current.Line;
        TemplateExpression first = conditional ? ParseExpression() : ParseOr();
        if (!Current.IsOperator(","))
            return first;
        List<TemplateExpression> items = [first];
        while (Current.IsOperator(","))
        {
            _position++;
            if (Current.Kind is TemplateTokenKind.EndBlock or TemplateTokenKind.EndOutput || Current.IsOperator(")"))
                break;
            items.Add(conditional ? ParseExpression() : ParseOr());
        }
        return new ListExpression(items, true, line);
    }

    private TemplateExpression ParseExpression()
    {
        CheckDepth();
        TemplateExpression value = ParseOr();
        while (Current.IsName("if"))
        {
            int line = tokens[_position++].Line;
            TemplateExpression condition = ParseOr();
            TemplateExpression? otherwise = null;
            if (Current.IsName("else"))
            {
                _position++;
                otherwise = ParseExpression();
            }
            value = new ConditionalExpression(condition, value, otherwise, line);
        }
        return value;
    }

    private TemplateExpression ParseOr() => ParseLeft(() => ParseLeft(ParseNot, "and"), "or");

    private TemplateExpression ParseNot()
    {
        if (!Current.IsName("not"))
            return ParseComparison();
        int line = tokens[_position++].Line;
        CheckDepth();
        TemplateExpression operand = ParseNot();
        return new UnaryExpression("not", operand, line);
    }

    private TemplateExpression ParseComparison()
    {
        int line = Current.Line;
        TemplateExpression first = ParseSum();
        List<(string, TemplateExpression)> rest = [];
        while (true)
        {
            if (Current.Kind == TemplateTokenKind.Operator && Comparisons.Contains(Current.Text))
                rest.Add((tokens[_position++].Text, ParseSum()));
            else if (Current.IsName("in"))
            {
                _position++;
                rest.Add(("in", ParseSum()));
            }
            else if (Current.IsName("not") && tokens[_position + 1].IsName("in"))
            {
                _position += 2;
                rest.Add(("not in", ParseSum()));
            }
            else
                return rest.Count == 0 ? first : new ComparisonExpression(first, rest, line);
        }
    }

    private TemplateExpression ParseSum() => ParseLeft(ParseConcatenation, "+", "-");

    private TemplateExpression ParseConcatenation() => ParseLeft(ParseProduct, "~");

    private TemplateExpression ParseProduct() => ParseLeft(ParsePower, "*", "/", "//", "%");

    private TemplateExpression ParsePower() => ParseLeft(() => ParseUnary(), "**");

    private TemplateExpression ParseLeft(Func<TemplateExpression> operand, params string[] operators)
    {
        TemplateExpression left = operand();
        while (Current.Kind is TemplateTokenKind.Operator or TemplateTokenKind.Name && operators.Contains(Current.Text))
        {
            TemplateToken op = tokens[_position++];
            left = new BinaryExpression(op.Text, left, operand(), op.Line);
        }
        return left;
    }

    private TemplateExpression ParseUnary(bool withFilters = true)
    {
        TemplateExpression value;
        if (Current.IsOperator("-") || Current.IsOperator("+"))
        {
            TemplateToken op = tokens[_position++];
            CheckDepth();
            value = new UnaryExpression(op.Text, ParseUnary(withFilters: false), op.Line);
        }
        else
            value = ParsePrimary();
        value = ParsePostfix(value);
        return withFilters ? ParseFiltersAndTests(value) : value;
    }

    private TemplateExpression ParsePrimary()
    {
        TemplateToken token = Current;
        switch (token.Kind)
        {
            case TemplateTokenKind.Name:
                _position++;
                return token.Text switch
                {
                    "true" or "True" => new LiteralExpression(true, token.Line),
                    "false" or "False" => new LiteralExpression(false, token.Line),
                    "none" or "None" => new LiteralExpression(null, token.Line),
                    _ => new NameExpression(token.Text, token.Line),
                };
            case TemplateTokenKind.String:
                string text = token.Text;
                for (_position++; Current.Kind == TemplateTokenKind.String; _position++)
                    text += Current.Text;
                return new LiteralExpression(text, token.Line);
            case TemplateTokenKind.Integer:
                if (!long.TryParse(token.Text.Replace("_", "", StringComparison.Ordinal), CultureInfo.InvariantCulture, out long integer))
                    throw Error($"{token.Text} is too large a number");
                _position++;
                return new LiteralExpression(integer, token.Line);
            case TemplateTokenKind.Float:
                _position++;
                return new LiteralExpression(double.Parse(token.Text.Replace("_", "", StringComparison.Ordinal), CultureInfo.InvariantCulture), token.Line);
            case TemplateTokenKind.Operator when token.Text is "(" or "[" or "{":
                CheckDepth();
                TemplateExpression bracketed = token.Text == "(" ? ParseParentheses() : token.Text == "[" ? ParseList() : ParseMap();
                return bracketed;
            default:
                throw Error($"expected a value, found {token}");
        }
    }

    private TemplateExpression ParseParentheses()
    {
        int line = tokens[_position++].Line;
        TemplateExpression value = Current.IsOperator(")") ? new ListExpression([], true, line) : ParseTuple();
        ExpectOperator(")");
        return value;
    }

    private ListExpression ParseList()
    {
        int line = tokens[_position++].Line;
        List<TemplateExpression> items = [];
        while (!Current.IsOperator("]"))
        {
            items.Add(ParseExpression());
            if (!Current.IsOperator("]"))
                ExpectOperator(",");
        }
        _position++;
        return new ListExpression(items, false, line);
    }

    private MapExpression ParseMap()
    {
        int line = tokens[_position++].Line;
        List<(TemplateExpression, TemplateExpression)> entries = [];
        while (!Current.IsOperator("}"))
        {
            TemplateExpression key = ParseExpression();
            ExpectOperator(":");
            entries.Add((key, ParseExpression()));
            if (!Current.IsOperator("}"))
                ExpectOperator(",");
        }
        _position++;
        return new MapExpression(entries, line);
    }

    private TemplateExpression ParsePostfix(TemplateExpression value)
    {
        while (true)
        {
            int line = Current.Line;
            if (Current.IsOperator("."))
            {
                _position++;
                if (Current.Kind == TemplateTokenKind.Integer)
                    value = new IndexExpression(value, ParsePrimary(), line);
                else
                    value = new AttributeExpression(value, ExpectName().Text, line);
            }
            else if (Current.IsOperator("["))
            {
                _position++;
                value = ParseSubscript(value, line);
            }
            else if (Current.IsOperator("("))
                value = new CallExpression(value, ParseArguments(), line);
            else
                return value;
        }
    }

    private TemplateExpression ParseSubscript(TemplateExpression target, int line)
    {
        TemplateExpression? start = Current.IsOperator(":") ? null : ParseExpression();
        if (Current.IsOperator("]"))
        {
            _position++;
            return new IndexExpression(target, start!, line);
        }
        ExpectOperator(":");
        TemplateExpression? stop = Current.IsOperator(":") || Current.IsOperator("]") ? null : ParseExpression();
        TemplateExpression? step = null;
        if (Current.IsOperator(":"))
        {
            _position++;
            step = Current.IsOperator("]") ? null : ParseExpression();
        }
        ExpectOperator("]");
        return new SliceExpression(target, start, stop, step, line);
    }

    private TemplateArguments ParseArguments()
    {
        ExpectOperator("(");
        List<TemplateExpression> positional = [];
        Dictionary<string, TemplateExpression> named = [];
        while (!Current.IsOperator(")"))
        {
            if (Current.Kind == TemplateTokenKind.Name && tokens[_position + 1].IsOperator("="))
            {
                string name = Current.Text;
                _position += 2;
                named[name] = ParseExpression();
            }
            else
                positional.Add(ParseExpression());
            if (!Current.IsOperator(")"))
                ExpectOperator(",");
        }
        _position++;
        return new TemplateArguments(positional, named);
    }

    private TemplateExpression ParseFiltersAndTests(TemplateExpression value)
    {
        while (true)
        {
            int line = Current.Line;
            if (Current.IsOperator("|"))
            {
                _position++;
                string name = ExpectName().Text;
                if (!ChatTemplateFilters.Exists(name))
                    throw Error($"the filter '{name}' is not supported");
                value = new FilterExpression(value, name, Current.IsOperator("(") ? ParseArguments() : TemplateArguments.None, line);
            }
            else if (Current.IsName("is"))
            {
                _position++;
                value = ParseTest(value, line);
            }
            else if (Current.IsOperator("("))
                value = new CallExpression(value, ParseArguments(), line);
            else
                return value;
        }
    }

    private TestExpression ParseTest(TemplateExpression value, int line)
    {
        bool negated = Current.IsName("not");
        if (negated)
            _position++;
        string name = ExpectName().Text;
        if (!ChatTemplateTests.Exists(name))
            throw Error($"the test '{name}' is not supported");
        IReadOnlyList<TemplateExpression> arguments = [];
        if (Current.IsOperator("("))
            arguments = ParseArguments().Positional;
        else if (Current.Kind is TemplateTokenKind.String or TemplateTokenKind.Integer or TemplateTokenKind.Float
                 || Current.IsOperator("[") || Current.IsOperator("{")
                 || (Current.Kind == TemplateTokenKind.Name && Current.Text is not ("else" or "or" or "and" or "is" or "if" or "in" or "not")))
            arguments = [ParsePostfix(ParsePrimary())];
        return new TestExpression(value, name, arguments, negated, line);
    }
}
