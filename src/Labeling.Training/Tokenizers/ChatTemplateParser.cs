using System.Runtime.CompilerServices;

namespace Labeling.Training.Tokenizers;

/// <summary>Statements of a template; expressions are in the other half of this class.</summary>
internal sealed partial class ChatTemplateParser(IReadOnlyList<TemplateToken> tokens)
{
    private int _position;
    private int _loops;

    private TemplateToken Current => tokens[_position];

    public IReadOnlyList<TemplateNode> ParseTemplate()
    {
        IReadOnlyList<TemplateNode> nodes = ParseUntil();
        return Current.Kind == TemplateTokenKind.End ? nodes : throw Error($"'{tokens[_position + 1].Text}' opens nothing");
    }

    /// <summary>Nodes up to a block tag with one of these names, which stays unread, or up to the end.</summary>
    private List<TemplateNode> ParseUntil(params string[] endings)
    {
        List<TemplateNode> nodes = [];
        CheckDepth();
        while (Current.Kind != TemplateTokenKind.End)
        {
            TemplateToken token = Current;
            if (token.Kind == TemplateTokenKind.Text)
            {
                nodes.Add(new TextNode(token.Text));
                _position++;
            }
            else if (token.Kind == TemplateTokenKind.BeginOutput)
            {
                _position++;
                nodes.Add(new OutputNode(ParseTuple()));
                Expect(TemplateTokenKind.EndOutput, "}}");
            }
            else
            {
                string name = tokens[_position + 1].Text;
                if (endings.Contains(name) || name.StartsWith("end", StringComparison.Ordinal) || name is "else" or "elif")
                    break;
                _position++;
                nodes.Add(ParseStatement());
            }
        }
        return nodes;
    }

    private TemplateNode ParseStatement()
    {
        TemplateToken keyword = ExpectName();
        switch (keyword.Text)
        {
            case "if": return ParseIf();
            case "for": return ParseFor();
            case "set": return ParseSet(keyword.Line);
            case "macro": return ParseMacro();
            case "call": return ParseCall(keyword.Line);
            case "with": return ParseWith();
            case "filter":
                TemplateExpression filtered = ParseFilters(keyword.Line);
                EndBlock();
                List<TemplateNode> captured = ParseUntil("endfilter");
                Closing("endfilter", "filter");
                return new FilterNode(filtered, captured);
            case "generation":
                EndBlock();
                List<TemplateNode> body = ParseUntil("endgeneration");
                Closing("endgeneration", "generation");
                return new GenerationNode(body);
            case "break" or "continue":
                if (_loops == 0)
                    throw Error($"'{keyword.Text}' stands outside of a loop");
                EndBlock();
                return new LoopControlNode(keyword.Text == "break");
            default:
                throw new ChatTemplateException(
                    $"Chat template, line {keyword.Line}: the statement '{keyword.Text}' is not supported; "
                    + "supported are if, for, set, macro, call, filter, with, break, continue, generation and raw.");
        }
    }

    private IfNode ParseIf()
    {
        List<(TemplateExpression, IReadOnlyList<TemplateNode>)> branches = [];
        IReadOnlyList<TemplateNode> otherwise = [];
        do
        {
            TemplateExpression condition = ParseTuple();
            EndBlock();
            branches.Add((condition, ParseUntil("elif", "else", "endif")));
        }
        while (TryTag("elif"));
        if (TryTag("else"))
        {
            EndBlock();
            otherwise = ParseUntil("endif");
        }
        Closing("endif", "if");
        return new IfNode(branches, otherwise);
    }

    private ForNode ParseFor()
    {
        List<string> targets = ParseTargets();
        if (!Current.IsName("in"))
            throw Error($"'for' needs 'in' after the variable, not {Current}");
        _position++;
        TemplateExpression items = ParseTuple(conditional: false);
        TemplateExpression? filter = null;
        if (Current.IsName("if"))
        {
            _position++;
            filter = ParseExpression();
        }
        if (Current.IsName("recursive"))
            throw Error("recursive loops are not supported");
        EndBlock();
        _loops++;
        List<TemplateNode> body = ParseUntil("else", "endfor");
        _loops--;
        IReadOnlyList<TemplateNode> otherwise = [];
        if (TryTag("else"))
        {
            EndBlock();
            otherwise = ParseUntil("endfor");
        }
        Closing("endfor", "for");
        return new ForNode(targets, items, filter, body, otherwise);
    }

    private TemplateNode ParseSet(int line)
    {
        List<string> targets = ParseTargets();
        string? attribute = null;
        if (Current.IsOperator("."))
        {
            _position++;
            attribute = ExpectName().Text;
        }
        if (Current.IsOperator("="))
        {
            _position++;
            SetNode set = new(targets, attribute, ParseTuple(), line);
            EndBlock();
            return set;
        }
        if (attribute is not null || targets.Count != 1)
            throw Error($"'set' needs '=' after its target, not {Current}");
        TemplateExpression value = ParseFiltersAndTests(new NameExpression(FilterNode.CapturedBody, line));
        EndBlock();
        List<TemplateNode> body = ParseUntil("endset");
        Closing("endset", "set");
        return new SetBlockNode(targets[0], value, body);
    }

    private MacroNode ParseMacro()
    {
        string name = ExpectName().Text;
        List<(string, TemplateExpression?)> parameters = ParseParameters();
        EndBlock();
        return new MacroNode(name, parameters, ParseDetached("endmacro", "macro"));
    }

    private CallNode ParseCall(int line)
    {
        List<(string, TemplateExpression?)> parameters = Current.IsOperator("(") ? ParseParameters() : [];
        if (ParseUnary() is not CallExpression call)
            throw new ChatTemplateException($"Chat template, line {line}: 'call' needs the call of a macro.");
        EndBlock();
        return new CallNode(new MacroNode("caller", parameters, ParseDetached("endcall", "call")), call);
    }

    private WithNode ParseWith()
    {
        List<SetNode> variables = [];
        while (Current.Kind == TemplateTokenKind.Name)
        {
            int line = Current.Line;
            string name = ExpectName().Text;
            ExpectOperator("=");
            variables.Add(new SetNode([name], null, ParseExpression(), line));
            if (Current.IsOperator(","))
                _position++;
        }
        EndBlock();
        List<TemplateNode> body = ParseUntil("endwith");
        Closing("endwith", "with");
        return new WithNode(variables, body);
    }

    /// <summary>Filters without the value they start from, as after <c>filter</c>.</summary>
    private TemplateExpression ParseFilters(int line)
    {
        string name = Current.Text;
        if (!ChatTemplateFilters.Exists(name))
            throw Error($"the filter '{name}' is not supported");
        _position++;
        TemplateArguments arguments = Current.IsOperator("(") ? ParseArguments() : TemplateArguments.None;
        return ParseFiltersAndTests(new FilterExpression(new NameExpression(FilterNode.CapturedBody, line), name, arguments, line));
    }

    private List<(string, TemplateExpression?)> ParseParameters()
    {
        List<(string, TemplateExpression?)> parameters = [];
        ExpectOperator("(");
        while (!Current.IsOperator(")"))
        {
            string parameter = ExpectName().Text;
            TemplateExpression? value = null;
            if (Current.IsOperator("="))
            {
                _position++;
                value = ParseExpression();
            }
            parameters.Add((parameter, value));
            if (!Current.IsOperator(")"))
                ExpectOperator(",");
        }
        ExpectOperator(")");
        return parameters;
    }

    /// <summary>A body that runs elsewhere: a loop around it is none of its own.</summary>
    private List<TemplateNode> ParseDetached(string end, string opened)
    {
        int loops = _loops;
        _loops = 0;
        List<TemplateNode> body = ParseUntil(end);
        _loops = loops;
        Closing(end, opened);
        return body;
    }

    private List<string> ParseTargets()
    {
        bool bracketed = Current.IsOperator("(");
        if (bracketed)
            _position++;
        List<string> targets = [ExpectName().Text];
        while (Current.IsOperator(","))
        {
            _position++;
            targets.Add(ExpectName().Text);
        }
        if (bracketed)
            ExpectOperator(")");
        return targets;
    }

    private bool TryTag(string name)
    {
        if (Current.Kind != TemplateTokenKind.BeginBlock || !tokens[_position + 1].IsName(name))
            return false;
        _position += 2;
        return true;
    }

    private void Closing(string name, string opened)
    {
        if (!TryTag(name))
            throw Error($"'{opened}' is not closed with '{name}' before {(Current.Kind == TemplateTokenKind.End ? Current : tokens[_position + 1])}");
        EndBlock();
    }

    private void EndBlock() => Expect(TemplateTokenKind.EndBlock, "%}");

    private void Expect(TemplateTokenKind kind, string text)
    {
        if (Current.Kind != kind)
            throw Error($"expected '{text}', found {Current}");
        _position++;
    }

    private void ExpectOperator(string text)
    {
        if (!Current.IsOperator(text))
            throw Error($"expected '{text}', found {Current}");
        _position++;
    }

    private TemplateToken ExpectName()
    {
        if (Current.Kind != TemplateTokenKind.Name)
            throw Error($"expected a name, found {Current}");
        return tokens[_position++];
    }

    /// <summary>Parsing is recursive: without this, a hostile template would take the process down.</summary>
    private void CheckDepth()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw Error("too deeply nested");
    }

    private ChatTemplateException Error(string what) => new($"Chat template, line {Current.Line}: {what}.");
}
