using System.Text.Encodings.Web;
using System.Text.Json;
using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Labeling.Core.Data;

/// <summary>A conversation as JSON text: <c>[{"role":"user","content":"..."}]</c>, TRL's shape.</summary>
public static class MessagesAsJson
{
    // Relaxed: text in any script stays readable in the database and in exported files.
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    internal static readonly ValueConverter<IReadOnlyList<Message>, string> Converter = new(messages => Write(messages), json => Read(json));

    internal static readonly ValueComparer<IReadOnlyList<Message>> Comparer = new(
        (a, b) => a == b || (a != null && b != null && a.SequenceEqual(b)),
        messages => messages.Aggregate(0, (hash, message) => HashCode.Combine(hash, message)),
        messages => messages);

    public static string Write(IReadOnlyList<Message> messages) => JsonSerializer.Serialize(messages, Options);

    public static IReadOnlyList<Message> Read(string json) => JsonSerializer.Deserialize<Message[]>(json, Options) ?? [];
}
