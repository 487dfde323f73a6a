namespace Labeling.Training.Tokenizers;

/// <summary>A statement of a template, or a stretch of its text.</summary>
internal abstract record TemplateNode;

internal sealed record TextNode(string Text) : TemplateNode;

internal sealed record OutputNode(TemplateExpression Value) : TemplateNode;

internal sealed record IfNode(
    IReadOnlyList<(TemplateExpression Condition, IReadOnlyList<TemplateNode> Body)> Branches, IReadOnlyList<TemplateNode> Else) : TemplateNode;

internal sealed record ForNode(
    IReadOnlyList<string> Targets, TemplateExpression Items, TemplateExpression? Filter,
    IReadOnlyList<TemplateNode> Body, IReadOnlyList<TemplateNode> Else) : TemplateNode;

/// <summary><c>set a = x</c>, <c>set a, b = x</c>, and <c>set ns.a = x</c> where <paramref name="Attribute"/> is the part after the dot.</summary>
internal sealed record SetNode(IReadOnlyList<string> Targets, string? Attribute, TemplateExpression Value, int Line) : TemplateNode;

/// <summary><c>set a</c> ... <c>endset</c>: the rendered body is the value.</summary>
internal sealed record SetBlockNode(string Target, TemplateExpression Value, IReadOnlyList<TemplateNode> Body) : TemplateNode;

/// <summary><c>filter upper</c> ... <c>endfilter</c>: the rendered body goes through filters; in the expression it has the name <see cref="CapturedBody"/>.</summary>
internal sealed record FilterNode(TemplateExpression Value, IReadOnlyList<TemplateNode> Body) : TemplateNode
{
    /// <summary>No template can write this name.</summary>
    public const string CapturedBody = " body";
}

/// <summary><c>call(x) f()</c> ... <c>endcall</c>: the macro finds the body as <c>caller</c>.</summary>
internal sealed record CallNode(MacroNode Body, CallExpression Call) : TemplateNode;

internal sealed record MacroNode(
    string Name, IReadOnlyList<(string Name, TemplateExpression? Default)> Parameters, IReadOnlyList<TemplateNode> Body) : TemplateNode;

/// <summary><c>generation</c> marks the assistant's words, which is what a model learns from.</summary>
internal sealed record GenerationNode(IReadOnlyList<TemplateNode> Body) : TemplateNode;

/// <summary><c>with a = x</c> ... <c>endwith</c>: a scope of its own.</summary>
internal sealed record WithNode(IReadOnlyList<SetNode> Variables, IReadOnlyList<TemplateNode> Body) : TemplateNode;

internal sealed record LoopControlNode(bool Break) : TemplateNode;

/// <summary>Something with a value; the line is for messages.</summary>
internal abstract record TemplateExpression(int Line);

internal sealed record LiteralExpression(object? Value, int Line) : TemplateExpression(Line);

internal sealed record NameExpression(string Name, int Line) : TemplateExpression(Line);

internal sealed record ListExpression(IReadOnlyList<TemplateExpression> Items, bool Tuple, int Line) : TemplateExpression(Line);

internal sealed record MapExpression(
    IReadOnlyList<(TemplateExpression Key, TemplateExpression Value)> Entries, int Line) : TemplateExpression(Line);

internal sealed record AttributeExpression(TemplateExpression Target, string Name, int Line) : TemplateExpression(Line);

internal sealed record IndexExpression(TemplateExpression Target, TemplateExpression Index, int Line) : TemplateExpression(Line);

internal sealed record SliceExpression(
    TemplateExpression Target, TemplateExpression? Start, TemplateExpression? Stop, TemplateExpression? Step, int Line) : TemplateExpression(Line);

internal sealed record CallExpression(TemplateExpression Target, TemplateArguments Arguments, int Line) : TemplateExpression(Line);

internal sealed record FilterExpression(TemplateExpression Target, string Name, TemplateArguments Arguments, int Line) : TemplateExpression(Line);

internal sealed record TestExpression(
    TemplateExpression Target, string Name, IReadOnlyList<TemplateExpression> Arguments, bool Negated, int Line) : TemplateExpression(Line);

internal sealed record UnaryExpression(string Operator, TemplateExpression Operand, int Line) : TemplateExpression(Line);

internal sealed record BinaryExpression(string Operator, TemplateExpression Left, TemplateExpression Right, int Line) : TemplateExpression(Line);

/// <summary><c>a &lt; b &lt;= c</c>: each operand is computed once and all comparisons must hold.</summary>
internal sealed record ComparisonExpression(
    TemplateExpression First, IReadOnlyList<(string Operator, TemplateExpression Operand)> Rest, int Line) : TemplateExpression(Line);

internal sealed record ConditionalExpression(
    TemplateExpression Condition, TemplateExpression Then, TemplateExpression? Else, int Line) : TemplateExpression(Line);

internal sealed record TemplateArguments(
    IReadOnlyList<TemplateExpression> Positional, IReadOnlyDictionary<string, TemplateExpression> Named)
{
    public static TemplateArguments None { get; } = new([], new Dictionary<string, TemplateExpression>());
}
