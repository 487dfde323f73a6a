using System.Text.Json;

namespace Labeling.Worker;

internal static class JsonLines
{
    /// <exception cref="InvalidDataException">The file is missing or a line is not an object.</exception>
    public static IEnumerable<JsonElement> Read(string path)
    {
        if (!File.Exists(path)) throw new InvalidDataException($"The trainer ended well, but did not write {Path.GetFileName(path)}.");
        var number = 0;
        foreach (var line in File.ReadLines(path))
        {
            number++;
            yield return Parse(line, path, number);
        }
    }

    private static JsonElement Parse(string line, string path, int number)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            return json.RootElement.ValueKind == JsonValueKind.Object ? json.RootElement.Clone() : throw new JsonException("not an object");
        }
        catch (JsonException error)
        {
            throw new InvalidDataException($"Line {number} of the trainer's {Path.GetFileName(path)} cannot be read: {error.Message}", error);
        }
    }
}
