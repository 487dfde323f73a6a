using System.Text.Json;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Models;

/// <summary>Reference models: the few beside the tests, and the whole set where a checkout has it.</summary>
static class GoldenFolder
{
    public static string Beside { get; } = Path.Combine(AppContext.BaseDirectory, "Golden");

    public static IEnumerable<string> Models(string task) =>
        Roots().SelectMany(root => Directory.EnumerateDirectories(Path.Combine(root, "models")))
            .GroupBy(Path.GetFileName).Select(g => g.First())
            .Where(folder => Read(folder).RootElement.GetProperty("task").GetString() == task)
            .Order(StringComparer.Ordinal);

    public static JsonDocument Read(string folder) => JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "golden.json")));

    static IEnumerable<string> Roots()
    {
        yield return Beside;
        if (Environment.GetEnvironmentVariable("LABELING_GOLDEN") is { Length: > 0 } configured)
        {
            yield return configured;
            yield break;
        }
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "shared", "golden");
            if (!Directory.Exists(Path.Combine(candidate, "models"))) continue;
            yield return candidate;
            yield break;
        }
    }

    public static Tensor Ids(JsonElement rows) =>
        tensor(rows.EnumerateArray().SelectMany(r => r.EnumerateArray().Select(v => v.GetInt64())).ToArray(), [rows.GetArrayLength(), rows[0].GetArrayLength()]);

    public static Tensor? Mask(JsonElement rows) => rows.ValueKind == JsonValueKind.Null ? null : Ids(rows);

    public static void Close(double expected, double actual, double absolute, double relative, string what)
    {
        if (!(Math.Abs(expected - actual) <= absolute + relative * Math.Abs(expected)))
            Assert.Fail($"{what}: expected {expected}, got {actual}, difference {Math.Abs(expected - actual):g3}");
    }
}
