using System.Runtime.CompilerServices;
using System.Text;

namespace Labeling.Training.Tokenizers;

/// <summary>Renders the nodes of a template. One instance renders once.</summary>
internal sealed class ChatTemplateEvaluator
{
    private enum Flow { Next, Break, Continue }

    private readonly List<(int From, int To)> _generated = [];
    private StringBuilder? _whole;

    /// <summary>Stretches of the text between <c>generation</c> and <c>endgeneration</c>.</summary>
    public IReadOnlyList<(int From, int To)> Generated => _generated;

    public string Render(IReadOnlyList<TemplateNode> nodes, TemplateScope globals)
    {
        _whole = new StringBuilder();
        Run(nodes, new TemplateScope(globals), _whole);
        return _whole.ToString();
    }

    private Flow Run(IReadOnlyList<TemplateNode> nodes, TemplateScope scope, StringBuilder output)
    {
        foreach (TemplateNode node in nodes)
        {
            Flow flow = Run(node, scope, output);
            if (flow != Flow.Next)
                return flow;
        }
        return Flow.Next;
    }

    private Flow Run(TemplateNode node, TemplateScope scope, StringBuilder output)
    {
        switch (node)
        {
            case TextNode text:
                output.Append(text.Text);
                break;
            case OutputNode value:
                output.Append(ChatTemplateValues.Print(Evaluate(value.Value, scope)));
                if (output.Length > ChatTemplateValues.MaxLength)
                    throw ChatTemplateValues.Error($"the text grew past {ChatTemplateValues.MaxLength} characters");
                break;
            case IfNode branch:
                foreach ((TemplateExpression condition, IReadOnlyList<TemplateNode> body) in branch.Branches)
                    if (ChatTemplateValues.IsTrue(Evaluate(condition, scope)))
                        return Run(body, scope, output);
                return Run(branch.Else, scope, output);
            case ForNode loop:
                RunLoop(loop, scope, output);
                break;
            case SetNode set:
                RunSet(set, scope);
                break;
            case SetBlockNode set:
                scope.Set(set.Target, Captured(set.Body, set.Value, scope));
                break;
            case FilterNode filter:
                output.Append(ChatTemplateValues.Print(Captured(filter.Body, filter.Value, scope)));
                break;
            case CallNode call:
                output.Append(ChatTemplateValues.Print(Call(call.Call, scope, Macro(call.Body, scope))));
                break;
            case MacroNode macro:
                scope.Set(macro.Name, Macro(macro, scope));
                break;
            case GenerationNode generation:
                int from = output.Length;
                Flow flow = Run(generation.Body, scope, output);
                // Inside a macro or a captured block, the place in the whole text is not known.
                if (output == _whole && output.Length > from)
                    _generated.Add((from, output.Length));
                return flow;
            case WithNode with:
                TemplateScope inner = new(scope);
                foreach (SetNode variable in with.Variables)
                    inner.Set(variable.Targets[0], Evaluate(variable.Value, scope));
                return Run(with.Body, inner, output);
            case LoopControlNode control:
                return control.Break ? Flow.Break : Flow.Continue;
        }
        return Flow.Next;
    }

    /// <summary>The rendered body, after the filters it goes through.</summary>
    private object? Captured(IReadOnlyList<TemplateNode> body, TemplateExpression value, TemplateScope scope)
    {
        StringBuilder captured = new();
        Run(body, new TemplateScope(scope), captured);
        TemplateScope named = new(scope);
        named.Set(FilterNode.CapturedBody, captured.ToString());
        return Evaluate(value, named);
    }

    private void RunLoop(ForNode loop, TemplateScope scope, StringBuilder output)
    {
        List<object?> items = ChatTemplateValues.Items(Evaluate(loop.Items, scope));
        if (loop.Filter is not null)
            items = items.Where(item =>
            {
                TemplateScope candidate = new(scope);
                Bind(loop.Targets, item, candidate);
                return ChatTemplateValues.IsTrue(Evaluate(loop.Filter, candidate));
            }).ToList();
        if (items.Count == 0)
            Run(loop.Else, new TemplateScope(scope), output);
        List<object?>? before = null;
        TemplateFunction changed = (arguments, _) =>
        {
            bool same = before is not null && ChatTemplateValues.AreEqual(before, arguments.ToList());
            before = arguments.ToList();
            return !same;
        };
        int depth = scope.TryGet("loop", out object? around) && around is TemplateMap outer && outer.TryGet("depth", out object? levels) ? (int)(long)levels! : 0;
        for (int i = 0; i < items.Count; i++)
        {
            TemplateScope body = new(scope);
            TemplateMap variable = LoopVariable(items, i);
            variable["changed"] = changed;
            variable["depth"] = depth + 1L;
            variable["depth0"] = (long)depth;
            body.Set("loop", variable);
            Bind(loop.Targets, items[i], body);
            if (Run(loop.Body, body, output) == Flow.Break)
                return;
        }
    }

    private static TemplateMap LoopVariable(List<object?> items, int i) => new()
    {
        ["index"] = i + 1L,
        ["index0"] = (long)i,
        ["revindex"] = (long)(items.Count - i),
        ["revindex0"] = (long)(items.Count - i - 1),
        ["first"] = i == 0,
        ["last"] = i == items.Count - 1,
        ["length"] = (long)items.Count,
        ["previtem"] = i > 0 ? items[i - 1] : new TemplateUndefined("previtem"),
        ["nextitem"] = i + 1 < items.Count ? items[i + 1] : new TemplateUndefined("nextitem"),
        ["cycle"] = (TemplateFunction)((arguments, _) => arguments.Count == 0
            ? throw ChatTemplateValues.Error("loop.cycle needs values")
            : arguments[i % arguments.Count]),
    };

    private void RunSet(SetNode set, TemplateScope scope)
    {
        object? value = Evaluate(set.Value, scope);
        if (set.Attribute is null)
            Bind(set.Targets, value, scope);
        else if (scope.TryGet(set.Targets[0], out object? target) && target is TemplateNamespace ns)
            ns.Attributes[set.Attribute] = value;
        else
            throw new ChatTemplateException(
                $"Chat template, line {set.Line}: only attributes of a namespace() can be set, and '{set.Targets[0]}' is none.");
    }

    private static void Bind(IReadOnlyList<string> targets, object? value, TemplateScope scope)
    {
        if (targets.Count == 1)
        {
            scope.Set(targets[0], value);
            return;
        }
        List<object?> items = ChatTemplateValues.Items(value);
        if (items.Count != targets.Count)
            throw ChatTemplateValues.Error($"{items.Count} values for the {targets.Count} names {string.Join(", ", targets)}");
        for (int i = 0; i < targets.Count; i++)
            scope.Set(targets[i], items[i]);
    }

    private TemplateFunction Macro(MacroNode macro, TemplateScope scope) => (positional, named) =>
    {
        TemplateScope body = new(scope);
        for (int i = 0; i < macro.Parameters.Count; i++)
        {
            (string name, TemplateExpression? fallback) = macro.Parameters[i];
            object? value = i < positional.Count ? positional[i]
                : named.TryGetValue(name, out object? given) ? given
                : fallback is not null ? Evaluate(fallback, body)
                : new TemplateUndefined(name);
            body.Set(name, value);
        }
        if (named.TryGetValue("caller", out object? caller))
            body.Set("caller", caller);
        if (positional.Count > macro.Parameters.Count)
            throw ChatTemplateValues.Error($"the macro '{macro.Name}' takes {macro.Parameters.Count} values, not {positional.Count}");
        StringBuilder output = new();
        Run(macro.Body, body, output);
        return output.ToString();
    };

    private object? Evaluate(TemplateExpression expression, TemplateScope scope)
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw new ChatTemplateException($"Chat template, line {expression.Line}: too deeply nested.");
        return expression switch
        {
            LiteralExpression e => e.Value,
            NameExpression e => scope.TryGet(e.Name, out object? value) ? value : new TemplateUndefined(e.Name),
            ListExpression { Tuple: true } e => new TemplateTuple(e.Items.Select(i => Evaluate(i, scope))),
            ListExpression e => e.Items.Select(i => Evaluate(i, scope)).ToList(),
            MapExpression e => Map(e, scope),
            AttributeExpression e => ChatTemplateValues.Attribute(Evaluate(e.Target, scope), e.Name),
            IndexExpression e => ChatTemplateValues.Index(Evaluate(e.Target, scope), Evaluate(e.Index, scope)),
            SliceExpression e => ChatTemplateValues.Slice(
                Evaluate(e.Target, scope), Optional(e.Start, scope), Optional(e.Stop, scope), Optional(e.Step, scope)),
            CallExpression e => Call(e, scope),
            FilterExpression e => ChatTemplateFilters.Apply(
                e.Name, Evaluate(e.Target, scope), Positional(e.Arguments, scope), Named(e.Arguments, scope)),
            TestExpression e => e.Negated != ChatTemplateTests.Apply(
                e.Name, Evaluate(e.Target, scope), e.Arguments.Select(a => Evaluate(a, scope)).ToList()),
            UnaryExpression e => Unary(e, Evaluate(e.Operand, scope)),
            BinaryExpression { Operator: "and" } e => Evaluate(e.Left, scope) is var left && !ChatTemplateValues.IsTrue(left) ? left : Evaluate(e.Right, scope),
            BinaryExpression { Operator: "or" } e => Evaluate(e.Left, scope) is var left && ChatTemplateValues.IsTrue(left) ? left : Evaluate(e.Right, scope),
            BinaryExpression e => ChatTemplateArithmetic.Apply(e.Operator, Evaluate(e.Left, scope), Evaluate(e.Right, scope), e.Line),
            ComparisonExpression e => Compare(e, scope),
            ConditionalExpression e => ChatTemplateValues.IsTrue(Evaluate(e.Condition, scope)) ? Evaluate(e.Then, scope)
                : e.Else is null ? new TemplateUndefined("the missing else branch") : Evaluate(e.Else, scope),
            _ => throw new InvalidOperationException($"No rule for {expression.GetType().Name}."),
        };
    }

    private object? Optional(TemplateExpression? expression, TemplateScope scope) => expression is null ? null : Evaluate(expression, scope);

    private TemplateMap Map(MapExpression expression, TemplateScope scope)
    {
        TemplateMap map = [];
        foreach ((TemplateExpression key, TemplateExpression value) in expression.Entries)
            map[Evaluate(key, scope) as string ?? throw ChatTemplateValues.Error("keys of a mapping must be strings")] = Evaluate(value, scope);
        return map;
    }

    private object? Call(CallExpression call, TemplateScope scope, TemplateFunction? caller = null)
    {
        object? target = Evaluate(call.Target, scope);
        if (target is not TemplateFunction function)
            throw new ChatTemplateException($"Chat template, line {call.Line}: {Describe(call.Target)} is not a function.");
        Dictionary<string, object?> named = Named(call.Arguments, scope);
        if (caller is not null)
            named["caller"] = caller;
        return function(Positional(call.Arguments, scope), named);
    }

    private static string Describe(TemplateExpression expression) => expression switch
    {
        NameExpression e => $"'{e.Name}'",
        AttributeExpression e => $"'{e.Name}'",
        _ => "what is called",
    };

    private List<object?> Positional(TemplateArguments arguments, TemplateScope scope) =>
        arguments.Positional.Select(a => Evaluate(a, scope)).ToList();

    private Dictionary<string, object?> Named(TemplateArguments arguments, TemplateScope scope) =>
        arguments.Named.ToDictionary(a => a.Key, a => Evaluate(a.Value, scope));

    private static object Unary(UnaryExpression expression, object? operand) => (expression.Operator, operand) switch
    {
        ("not", _) => !ChatTemplateValues.IsTrue(operand),
        ("-", double d) => -d,
        ("+", double d) => d,
        ("-", bool or long) => -ChatTemplateValues.ToLong(operand),
        ("+", bool or long) => ChatTemplateValues.ToLong(operand),
        _ => throw new ChatTemplateException(
            $"Chat template, line {expression.Line}: '{expression.Operator}' needs a number, not {ChatTemplateValues.TypeName(operand)}."),
    };

    private bool Compare(ComparisonExpression comparison, TemplateScope scope)
    {
        object? left = Evaluate(comparison.First, scope);
        foreach ((string op, TemplateExpression operand) in comparison.Rest)
        {
            object? right = Evaluate(operand, scope);
            bool holds = op switch
            {
                "==" => ChatTemplateValues.AreEqual(left, right),
                "!=" => !ChatTemplateValues.AreEqual(left, right),
                "in" => ChatTemplateValues.Contains(right, left),
                "not in" => !ChatTemplateValues.Contains(right, left),
                "<" => ChatTemplateValues.Compare(left, right) < 0,
                "<=" => ChatTemplateValues.Compare(left, right) <= 0,
                ">" => ChatTemplateValues.Compare(left, right) > 0,
                _ => ChatTemplateValues.Compare(left, right) >= 0,
            };
            if (!holds)
                return false;
            left = right;
        }
        return true;
    }
}
