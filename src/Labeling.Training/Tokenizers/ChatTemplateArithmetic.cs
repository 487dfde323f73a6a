namespace Labeling.Training.Tokenizers;

/// <summary>Operators between two values, by Python's rules.</summary>
internal static class ChatTemplateArithmetic
{
    public static object Apply(string op, object? left, object? right, int line)
    {
        if (op == "~")
            return ChatTemplateValues.Print(left) + ChatTemplateValues.Print(right);
        if (left is TemplateUndefined || right is TemplateUndefined)
            throw Error(line, $"'{((left as TemplateUndefined) ?? (TemplateUndefined)right!).Name}' is undefined");
        if (op == "+" && left is string a && right is string b)
            return a + b;
        if (op == "+" && left is TemplateTuple && right is TemplateTuple)
            return new TemplateTuple(((List<object?>)left).Concat((List<object?>)right));
        if (op == "+" && left is List<object?> x and not TemplateTuple && right is List<object?> y and not TemplateTuple)
            return x.Concat(y).ToList();
        if (op == "%" && left is string pattern)
            return ChatTemplateFormat.Percent(pattern, right is TemplateTuple values ? values : [right]);
        if (op == "*" && left is string or List<object?> && right is long or bool)
            return Repeat(left!, ChatTemplateValues.ToLong(right), line);
        if (op == "*" && right is string or List<object?> && left is long or bool)
            return Repeat(right!, ChatTemplateValues.ToLong(left), line);
        if (!ChatTemplateValues.IsNumber(left) || !ChatTemplateValues.IsNumber(right))
            throw Error(line, $"'{op}' does not work between {ChatTemplateValues.TypeName(left)} and {ChatTemplateValues.TypeName(right)}");
        try
        {
            return left is double || right is double || op == "/"
                ? Floats(op, ChatTemplateValues.ToDouble(left), ChatTemplateValues.ToDouble(right), line)
                : Integers(op, ChatTemplateValues.ToLong(left), ChatTemplateValues.ToLong(right), line);
        }
        catch (OverflowException)
        {
            throw Error(line, $"the result of '{op}' is too large");
        }
    }

    private static object Integers(string op, long a, long b, int line)
    {
        switch (op)
        {
            case "+": return checked(a + b);
            case "-": return checked(a - b);
            case "*": return checked(a * b);
            case "**" when b < 0: return Math.Pow(a, b);
            case "**": return Power(a, b);
            case "//" or "%" when b == 0: throw Error(line, "division by zero");
            // Python rounds the quotient down, and the remainder takes the divisor's sign.
            case "//": return checked(a / b) - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
            default: return b == -1 ? 0L : (a % b + b) % b;
        }
    }

    private static long Power(long a, long b)
    {
        long result = 1;
        for (long i = 0; i < b && (a is not (0 or 1 or -1) || i < 2); i++)
            result = checked(result * a);
        return a == -1 ? (b % 2 == 0 ? 1 : -1) : result;
    }

    private static double Floats(string op, double a, double b, int line)
    {
        if (op is "/" or "//" or "%" && b == 0)
            throw Error(line, "division by zero");
        return op switch
        {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" => a / b,
            "**" => Math.Pow(a, b),
            "//" => Math.Floor(a / b),
            _ => a - b * Math.Floor(a / b),
        };
    }

    private static object Repeat(object value, long times, int line)
    {
        long length = value is string s ? s.Length : ((List<object?>)value).Count;
        times = Math.Max(0, times);
        if (length > 0 && times > ChatTemplateValues.MaxLength / length)
            throw Error(line, $"a repetition may not grow past {ChatTemplateValues.MaxLength} characters or items");
        return value is string text
            ? string.Concat(Enumerable.Repeat(text, (int)times))
            : Enumerable.Repeat((List<object?>)value, (int)times).SelectMany(l => l).ToList();
    }

    private static ChatTemplateException Error(int line, string what) => new($"Chat template, line {line}: {what}.");
}
