namespace Labeling.Training.Tokenizers;

/// <summary>What may stand after <c>is</c>.</summary>
internal static class ChatTemplateTests
{
    private static readonly Dictionary<string, Func<object?, IReadOnlyList<object?>, bool>> Tests = new()
    {
        ["defined"] = (v, _) => v is not TemplateUndefined,
        ["undefined"] = (v, _) => v is TemplateUndefined,
        ["none"] = (v, _) => v is null,
        ["string"] = (v, _) => v is string,
        ["mapping"] = (v, _) => v is TemplateMap,
        ["sequence"] = (v, _) => v is string or List<object?> or TemplateMap,
        ["iterable"] = (v, _) => v is string or List<object?> or TemplateMap or TemplateUndefined,
        ["number"] = (v, _) => ChatTemplateValues.IsNumber(v),
        ["integer"] = (v, _) => v is long,
        ["float"] = (v, _) => v is double,
        ["boolean"] = (v, _) => v is bool,
        ["true"] = (v, _) => v is true,
        ["false"] = (v, _) => v is false,
        ["callable"] = (v, _) => v is TemplateFunction,
        ["lower"] = (v, _) => v is string s && s.Any(char.IsLetter) && !s.Any(char.IsUpper),
        ["upper"] = (v, _) => v is string s && s.Any(char.IsLetter) && !s.Any(char.IsLower),
        ["odd"] = (v, _) => Integer(v) % 2 != 0,
        ["even"] = (v, _) => Integer(v) % 2 == 0,
        ["divisibleby"] = (v, a) => Integer(Argument(a)) is not 0 and var by && Integer(v) % by == 0,
        ["eq"] = (v, a) => ChatTemplateValues.AreEqual(v, Argument(a)),
        ["ne"] = (v, a) => !ChatTemplateValues.AreEqual(v, Argument(a)),
        ["lt"] = (v, a) => ChatTemplateValues.Compare(v, Argument(a)) < 0,
        ["le"] = (v, a) => ChatTemplateValues.Compare(v, Argument(a)) <= 0,
        ["gt"] = (v, a) => ChatTemplateValues.Compare(v, Argument(a)) > 0,
        ["ge"] = (v, a) => ChatTemplateValues.Compare(v, Argument(a)) >= 0,
        ["in"] = (v, a) => ChatTemplateValues.Contains(Argument(a), v),
        ["sameas"] = (v, a) => v is null or bool ? Equals(v, Argument(a)) : ReferenceEquals(v, Argument(a)),
    };

    static ChatTemplateTests()
    {
        Tests["equalto"] = Tests["eq"];
        Tests["lessthan"] = Tests["lt"];
        Tests["greaterthan"] = Tests["gt"];
        foreach ((string sign, string name) in new[] { ("==", "eq"), ("!=", "ne"), ("<", "lt"), ("<=", "le"), (">", "gt"), (">=", "ge") })
            Tests[sign] = Tests[name];
    }

    public static bool Exists(string name) => Tests.ContainsKey(name);

    public static bool Apply(string name, object? value, IReadOnlyList<object?> arguments) =>
        Tests.TryGetValue(name, out Func<object?, IReadOnlyList<object?>, bool>? test)
            ? test(value, arguments)
            : throw ChatTemplateValues.Error($"the test '{name}' is not supported");

    private static object? Argument(IReadOnlyList<object?> arguments) =>
        arguments.Count > 0 ? arguments[0] : throw ChatTemplateValues.Error("a test needs a value to compare with");

    private static long Integer(object? value) =>
        value is long or bool ? ChatTemplateValues.ToLong(value) : throw ChatTemplateValues.Error($"a test needs an integer, not {ChatTemplateValues.TypeName(value)}");
}
