using System.Text.Encodings.Web;
using System.Text.Json;
using Labeling.Core.Model;

namespace Labeling.Core.Features.Datasets;

/// <summary>
/// Writes the rows of a dataset file, one JSON object per line, in TRL's conversational shapes. Labelers appear by their id, never by name or e-mail.
/// </summary>
internal static class DatasetRows
{
    // The files are never embedded in HTML; text in any script stays readable.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(Stream file, DatasetSelection.Demonstration row) => Line(file, json =>
    {
        json.WriteString("id", row.Id);
        Messages(json, "prompt", row.Messages);
        Answer(json, "completion", row.Text);
    });

    public static void Write(Stream file, DatasetSelection.PromptRow row) => Line(file, json =>
    {
        json.WriteString("id", row.Id);
        Messages(json, "prompt", row.Messages);
    });

    public static void Write(Stream file, DatasetSelection.RankedRow row) => Line(file, json =>
    {
        json.WriteString("id", row.Id);
        json.WriteString("labeler", row.LabelerId);
        Messages(json, "prompt", row.Messages);
        json.WriteStartArray("completions");
        foreach (var answer in row.Answers)
        {
            json.WriteStartObject();
            json.WriteString("id", answer.CompletionId);
            Answer(json, "completion", answer.Text);
            json.WriteNumber("rank", answer.Rank);
            // The reward model puts its zero at the answers of people.
            if (answer.Demonstration)
                json.WriteBoolean("demonstration", true);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        if (row.Strength is { } strength)
            json.WriteNumber("strength", strength);
    });

    /// <summary>Expands a K-way row into TRL's prompt/chosen/rejected, one line for each pair of answers that are not tied.</summary>
    public static void WritePairs(Stream file, JsonElement ranking)
    {
        var answers = ranking.GetProperty("completions").EnumerateArray().ToArray();
        foreach (var chosen in answers)
        {
            foreach (var rejected in answers.Where(other => other.GetProperty("rank").GetInt32() > chosen.GetProperty("rank").GetInt32()))
            {
                Line(file, json =>
                {
                    Copy(json, "prompt", ranking.GetProperty("prompt"));
                    Copy(json, "chosen", chosen.GetProperty("completion"));
                    Copy(json, "rejected", rejected.GetProperty("completion"));
                });
            }
        }
    }

    private static void Line(Stream file, Action<Utf8JsonWriter> write)
    {
        using (var json = new Utf8JsonWriter(file, Options))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        file.WriteByte((byte)'\n');
    }

    private static void Messages(Utf8JsonWriter json, string name, IReadOnlyList<Message> messages)
    {
        json.WriteStartArray(name);
        foreach (var message in messages)
            Turn(json, message.Role, message.Content);
        json.WriteEndArray();
    }

    private static void Answer(Utf8JsonWriter json, string name, string text)
    {
        json.WriteStartArray(name);
        Turn(json, "assistant", text);
        json.WriteEndArray();
    }

    private static void Turn(Utf8JsonWriter json, string role, string content)
    {
        json.WriteStartObject();
        json.WriteString("role", role);
        json.WriteString("content", content);
        json.WriteEndObject();
    }

    private static void Copy(Utf8JsonWriter json, string name, JsonElement value)
    {
        json.WritePropertyName(name);
        value.WriteTo(json);
    }
}
