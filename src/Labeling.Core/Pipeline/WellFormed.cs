using System.Collections;
using System.Collections.Concurrent;
using System.Reflection;

namespace Labeling.Core.Pipeline;

/// <summary>Raises or lowers the number of characters one text property may have; without it <see cref="Texts.MaxCharacters"/> holds.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class MaxCharactersAttribute(int count) : Attribute
{
    public int Count { get; } = count;
}

/// <summary>
/// What holds for every request whatever it asks for: nothing required is missing, enum values exist, ids are not empty, and every text can be stored as it is.
/// Found by reflection over the request's properties, lists and nested records, so that no field can be forgotten.
/// </summary>
internal static class WellFormed
{
    private static readonly ConcurrentDictionary<Type, Field[]> FieldsOf = new();

    public static IEnumerable<(string Field, string Message)> Check(object request) =>
        Fields(request.GetType()).SelectMany(field => Check(field, field.Name, field.Property.GetValue(request)));

    public static string CamelCase(string name) => name.Length == 0 ? name : char.ToLowerInvariant(name[0]) + name[1..];

    private static IEnumerable<(string, string)> Check(Field field, string path, object? value)
    {
        switch (value)
        {
            case null:
                if (field.Required) yield return (path, $"{path} is missing.");
                break;
            case string text:
                if (Texts.ProblemOf(text, field.MaxCharacters) is { } problem) yield return (path, $"{path} {problem}.");
                break;
            case Guid id:
                if (id == Guid.Empty) yield return (path, $"{path} is missing.");
                break;
            case Enum choice:
                if (!IsDefined(choice)) yield return (path, $"{path} has no value {choice:D}.");
                break;
            case IDictionary or IEnumerable<KeyValuePair<string, object?>>:
                foreach (var (key, item) in (IEnumerable<KeyValuePair<string, object?>>)value)
                {
                    if (Texts.ProblemOf(key, field.MaxCharacters) is { } badKey) yield return (path, $"A name in {path} {badKey}.");
                    if (item is string text && Texts.ProblemOf(text, field.MaxCharacters) is { } badItem) yield return ($"{path}.{key}", $"{path}.{key} {badItem}.");
                }

                break;
            case IEnumerable list and not byte[]:
                var index = 0;
                foreach (var item in list)
                {
                    foreach (var failure in Check(field with { Required = true }, $"{path}[{index}]", item)) yield return failure;
                    index++;
                }

                break;
            case var nested when nested.GetType() is { IsValueType: false } type && type.Assembly == typeof(WellFormed).Assembly:
                foreach (var part in Fields(type))
                {
                    foreach (var failure in Check(part, $"{path}.{part.Name}", part.Property.GetValue(nested))) yield return failure;
                }

                break;
        }
    }

    private static bool IsDefined(Enum value)
    {
        var type = value.GetType();
        if (!type.IsDefined(typeof(FlagsAttribute), false)) return Enum.IsDefined(type, value);
        var all = Enum.GetValues(type).Cast<Enum>().Aggregate(0L, (bits, flag) => bits | Convert.ToInt64(flag));
        return (Convert.ToInt64(value) & ~all) == 0;
    }

    private static Field[] Fields(Type type) => FieldsOf.GetOrAdd(type, static type =>
    {
        var nullability = new NullabilityInfoContext();
        return
        [
            .. type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
                .Where(property => property.GetIndexParameters().Length == 0 && property.PropertyType != typeof(Actor))
                .Select(property => new Field(
                    property,
                    CamelCase(property.Name),
                    !property.PropertyType.IsValueType && nullability.Create(property).ReadState == NullabilityState.NotNull,
                    property.GetCustomAttribute<MaxCharactersAttribute>()?.Count ?? Texts.MaxCharacters)),
        ];
    });

    private sealed record Field(PropertyInfo Property, string Name, bool Required, int MaxCharacters);
}
