using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Labeling.Web.Api.Json;

/// <summary>Enums as camelCase text, flags as a list of such texts. Numbers are refused; an unknown text is answered with the known ones.</summary>
internal sealed class EnumConverterFactory : JsonConverterFactory
{
    public override bool CanConvert(Type typeToConvert) => typeToConvert.IsEnum;

    public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
        (JsonConverter)Activator.CreateInstance((IsFlags(typeToConvert) ? typeof(FlagsConverter<>) : typeof(NameConverter<>)).MakeGenericType(typeToConvert))!;

    public static bool IsFlags(Type type) => type.GetCustomAttribute<FlagsAttribute>() is not null;

    private sealed class NameConverter<T> : JsonConverter<T> where T : struct, Enum
    {
        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => EnumText<T>.Read(ref reader);

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WriteStringValue(EnumText<T>.Of(value));

        public override T ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => EnumText<T>.Read(ref reader);

        public override void WriteAsPropertyName(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => writer.WritePropertyName(EnumText<T>.Of(value));
    }

    private sealed class FlagsConverter<T> : JsonConverter<T> where T : struct, Enum
    {
        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            if (reader.TokenType != JsonTokenType.StartArray)
            {
                throw new JsonException($"This has to be a list of: {EnumText<T>.Choices}.");
            }

            long bits = 0;
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                bits |= Convert.ToInt64(EnumText<T>.Read(ref reader), System.Globalization.CultureInfo.InvariantCulture);
            }

            return (T)Enum.ToObject(typeof(T), bits);
        }

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options)
        {
            writer.WriteStartArray();
            foreach (var flag in EnumText<T>.Values.Where(f => value.HasFlag(f)))
            {
                writer.WriteStringValue(EnumText<T>.Of(flag));
            }

            writer.WriteEndArray();
        }
    }
}

/// <summary>The texts of an enum's values. A flags enum's zero is the empty list and has no text.</summary>
internal static class EnumText<T> where T : struct, Enum
{
    public static readonly IReadOnlyList<T> Values =
        [.. Enum.GetValues<T>().Where(v => !EnumConverterFactory.IsFlags(typeof(T)) || Convert.ToInt64(v, System.Globalization.CultureInfo.InvariantCulture) != 0)];

    private static readonly Dictionary<string, T> ByText = Values.ToDictionary(Of);

    public static string Choices { get; } = string.Join(", ", ByText.Keys);

    public static string Of(T value) => JsonNamingPolicy.CamelCase.ConvertName(value.ToString());

    public static bool TryParse(string? text, out T value)
    {
        value = default;
        return text is not null && ByText.TryGetValue(text, out value);
    }

    public static T Read(ref Utf8JsonReader reader) =>
        reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName && TryParse(reader.GetString(), out var value)
            ? value
            : throw new JsonException($"This has to be one of: {Choices}.");
}
