using System.Globalization;
using System.Reflection;
using System.Text.Json;

namespace Labeling.Training.Runs;

/// <summary>What a person reads about one hyperparameter, and what values it can take.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class HyperparameterAttribute(string help) : Attribute
{
    /// <summary>One or two sentences for someone who has not read the paper.</summary>
    public string Help { get; } = help;

    /// <summary>Unit of the value, e.g. "sequences"; empty for a pure number.</summary>
    public string Unit { get; set; } = "";

    /// <summary>Where the default comes from.</summary>
    public string Source { get; set; } = "";

    /// <summary>Smallest allowed value.</summary>
    public double Min { get; set; } = double.NegativeInfinity;

    /// <summary>Largest allowed value.</summary>
    public double Max { get; set; } = double.PositiveInfinity;

    /// <summary>Allowed words of a choice.</summary>
    public string[] Choices { get; set; } = [];
}

/// <summary>One hyperparameter as `labeling-train describe --json` prints it.</summary>
/// <param name="Name">snake_case key of run.json.</param>
/// <param name="Type">int, float, bool, string or choice.</param>
/// <param name="Default">Value when absent; null when it is worked out from the model (the help says how).</param>
/// <param name="Min">Smallest allowed value or null.</param>
/// <param name="Max">Largest allowed value or null.</param>
/// <param name="Choices">Allowed words of a choice or null.</param>
/// <param name="Unit">Unit or empty.</param>
/// <param name="Help">Explanation.</param>
/// <param name="Source">Where the default comes from.</param>
public sealed record HyperparameterDescription(
    string Name, string Type, object? Default, double? Min, double? Max, string[]? Choices, string Unit, string Help, string Source);

/// <summary>Reads a stage's hyperparameter record from JSON and describes it, both from the record's own properties.</summary>
public static class Hyperparameters
{
    /// <summary>The hyperparameters of a record, in the order they are declared.</summary>
    public static IReadOnlyList<HyperparameterDescription> Describe(Type record)
    {
        var defaults = Activator.CreateInstance(record)!;
        return [.. Properties(record).Select(p => new HyperparameterDescription(
            SnakeCase(p.Property.Name),
            p.About.Choices.Length > 0 ? "choice" : TypeName(p.Property.PropertyType),
            p.Property.GetValue(defaults),
            double.IsInfinity(p.About.Min) ? null : p.About.Min,
            double.IsInfinity(p.About.Max) ? null : p.About.Max,
            p.About.Choices.Length > 0 ? p.About.Choices : null,
            p.About.Unit,
            p.About.Help,
            p.About.Source))];
    }

    /// <summary>The record with the given values; everything absent keeps its default.</summary>
    /// <exception cref="BadInputException">A key is unknown or a value impossible; names the key and the nearest valid one.</exception>
    public static T Read<T>(JsonElement? values, string file)
        where T : new()
    {
        var record = new T();
        if (values is not { } given)
        {
            return record;
        }
        if (given.ValueKind != JsonValueKind.Object)
        {
            throw new BadInputException($"{file}: 'hyperparameters' must be an object of names and values.");
        }
        var known = Properties(typeof(T)).ToDictionary(p => SnakeCase(p.Property.Name));
        foreach (var entry in given.EnumerateObject())
        {
            if (!known.TryGetValue(entry.Name, out var hyperparameter))
            {
                throw new BadInputException($"{file}: unknown hyperparameter '{entry.Name}'; {Nearest.Hint(entry.Name, known.Keys)}.");
            }
            if (entry.Value.ValueKind != JsonValueKind.Null)
            {
                hyperparameter.Property.SetValue(record, ReadValue(entry.Value, hyperparameter.Property, hyperparameter.About, $"{file}: hyperparameter '{entry.Name}'"));
            }
        }
        return record;
    }

    private static object ReadValue(JsonElement value, PropertyInfo property, HyperparameterAttribute about, string where)
    {
        var type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        if (type == typeof(bool))
        {
            return value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Bad("must be true or false");
        }
        if (type == typeof(string))
        {
            var text = value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Bad("must be text");
            return about.Choices.Length == 0 || about.Choices.Contains(text) ? text : throw Bad($"must be one of its choices; {Nearest.Hint(text, about.Choices)}");
        }
        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out var number) || !double.IsFinite(number))
        {
            throw Bad("must be a number");
        }
        if (number < about.Min || number > about.Max)
        {
            var nearest = number < about.Min ? about.Min : about.Max;
            throw Bad($"is out of range; the nearest valid value is {nearest.ToString(CultureInfo.InvariantCulture)}");
        }
        if (type != typeof(int))
        {
            return number;
        }
        return value.TryGetInt32(out var whole)
            ? whole
            : number == Math.Floor(number) && Math.Abs(number) <= int.MaxValue ? (int)number : throw Bad($"must be a whole number; the nearest is {Math.Round(number).ToString(CultureInfo.InvariantCulture)}");

        BadInputException Bad(string problem) => new($"{where} = {value.GetRawText()} {problem}.");
    }

    private static IEnumerable<(PropertyInfo Property, HyperparameterAttribute About)> Properties(Type record) =>
        record.GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Select(p => (p, p.GetCustomAttribute<HyperparameterAttribute>()!))
            .Where(p => p.Item2 is not null)
            // A record's own come before those it shares with other stages.
            .OrderBy(p => p.p.DeclaringType == record ? 0 : 1)
            .ThenBy(p => p.p.MetadataToken);

    private static string TypeName(Type type) => (Nullable.GetUnderlyingType(type) ?? type) switch
    {
        var t when t == typeof(int) => "int",
        var t when t == typeof(double) => "float",
        var t when t == typeof(bool) => "bool",
        _ => "string",
    };

    private static string SnakeCase(string name) => string.Concat(name.Select((c, i) => char.IsUpper(c) && i > 0 ? "_" + char.ToLowerInvariant(c) : char.ToLowerInvariant(c).ToString()));
}
