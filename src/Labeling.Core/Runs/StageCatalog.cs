using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Labeling.Core.Features.TrainingRuns;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Runs;

/// <summary>
/// The stages and their hyperparameters as the trainer describes them (<c>labeling-train describe --json</c>, kept in stages.json).
/// The form is made from it, and a run is refused here, before it waits in the queue, for what the trainer would refuse.
/// </summary>
public sealed class StageCatalog
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    private static readonly Lazy<StageCatalog> BuiltIn = new(() =>
    {
        using var file = typeof(StageCatalog).Assembly.GetManifestResourceStream("Labeling.Core.Runs.stages.json")
            ?? throw new InvalidOperationException("This build has no Runs/stages.json. Make it with: labeling-train describe --json");
        return Parse(file);
    });

    private readonly Dictionary<string, Stage> _stages;

    private StageCatalog(IEnumerable<Stage> stages) => _stages = stages.ToDictionary(stage => stage.Name);

    public static StageCatalog Default => BuiltIn.Value;

    public static StageCatalog Parse(Stream json) => new(JsonSerializer.Deserialize<List<Stage>>(json, Json) ?? throw new InvalidDataException("stages.json is empty."));

    /// <summary>The stage's name on the command line and in run.json.</summary>
    public static string NameOf(RunStage stage) => stage.ToString().ToLowerInvariant();

    public string Summary(RunStage stage) => Of(stage).Summary;

    public IReadOnlyList<HyperparameterView> Hyperparameters(RunStage stage) =>
        [.. Of(stage).Hyperparameters.Select(known => new HyperparameterView(
            known.Name, known.Type, Text(known.Default), known.Min, known.Max, known.Choices, string.IsNullOrEmpty(known.Unit) ? null : known.Unit, known.Help,
            string.IsNullOrEmpty(known.Source) ? null : known.Source))];

    /// <summary>Checks values that came from a form or as JSON. What is absent or null keeps the trainer's default.</summary>
    /// <returns>The values as they go into run.json, or a problem with one field <c>hyperparameters.name</c> per mistake.</returns>
    public Result<JsonObject> Check(RunStage stage, IReadOnlyDictionary<string, object?> given)
    {
        var known = Of(stage).Hyperparameters.ToDictionary(hyperparameter => hyperparameter.Name);
        var checkedValues = new JsonObject();
        var mistakes = new SortedDictionary<string, string[]>(StringComparer.Ordinal);
        foreach (var (name, value) in given)
        {
            if (!known.TryGetValue(name, out var hyperparameter))
            {
                var hint = Nearest(name, known.Keys) is { } nearest ? $"did you mean {nearest}?" : "it has none.";
                mistakes[$"hyperparameters.{name}"] = [$"{NameOf(stage)} has no hyperparameter \"{name}\"; {hint}"];
            }
            else if (Text(value) is { Length: > 0 } text)
            {
                var (node, mistake) = hyperparameter.Read(text);
                if (mistake is null)
                    checkedValues[name] = node;
                else
                    mistakes[$"hyperparameters.{name}"] = [$"{name} = {text} {mistake}"];
            }
        }
        return mistakes.Count == 0 ? checkedValues : new Problem(ProblemKind.Invalid, string.Join(" ", mistakes.Values.Select(texts => texts[0])), mistakes);
    }

    /// <summary>The value of a number when nothing else is given; null when the trainer works it out or the stage has no such number.</summary>
    public double? DefaultOf(RunStage stage, string name) =>
        Of(stage).Hyperparameters.SingleOrDefault(known => known.Name == name)?.Default is { ValueKind: JsonValueKind.Number } number ? number.GetDouble() : null;

    private Stage Of(RunStage stage) => _stages.TryGetValue(NameOf(stage), out var found) ? found : throw new InvalidDataException($"stages.json has no stage {NameOf(stage)}.");

    private static string? Text(object? value) => value switch
    {
        null => null,
        string text => text.Trim(),
        bool flag => flag ? "true" : "false",
        JsonElement { ValueKind: JsonValueKind.Null or JsonValueKind.Undefined } => null,
        JsonElement { ValueKind: JsonValueKind.String } element => element.GetString()!.Trim(),
        JsonElement element => element.GetRawText(),
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString(),
    };

    private static string? Nearest(string name, IEnumerable<string> known) => known.MinBy(candidate => EditDistance(name.ToLowerInvariant(), candidate));

    /// <summary>Levenshtein's distance.</summary>
    private static int EditDistance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }
        return row[b.Length];
    }

    private sealed record Stage([property: System.Text.Json.Serialization.JsonPropertyName("stage")] string Name, string Summary, IReadOnlyList<Hyperparameter> Hyperparameters);

    private sealed record Hyperparameter(
        string Name, string Type, JsonElement? Default, double? Min, double? Max, IReadOnlyList<string>? Choices, string? Unit, string Help, string? Source)
    {
        public (JsonNode? Value, string? Mistake) Read(string text) => Type switch
        {
            "bool" => text is "true" or "false" ? (JsonValue.Create(text == "true"), null) : (null, "must be true or false."),
            "string" => (JsonValue.Create(text), null),
            "choice" => Choices!.Contains(text) ? (JsonValue.Create(text), null) : (null, $"must be one of {string.Join(", ", Choices!)}; the nearest is {Nearest(text, Choices!)}."),
            _ => ReadNumber(text),
        };

        private (JsonNode? Value, string? Mistake) ReadNumber(string text)
        {
            if (!double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) || !double.IsFinite(number))
                return (null, Type == "int" ? "must be a whole number." : "must be a number.");
            var whole = Type == "int";
            var lowest = Math.Max(Min ?? double.MinValue, whole ? int.MinValue : double.MinValue);
            var highest = Math.Min(Max ?? double.MaxValue, whole ? int.MaxValue : double.MaxValue);
            if (number < lowest || number > highest)
                return (null, $"is out of range; the nearest valid value is {Shown(Math.Clamp(number, lowest, highest))}.");
            if (!whole)
                return (JsonValue.Create(number), null);
            return number == Math.Floor(number) ? (JsonValue.Create((int)number), null) : (null, $"must be a whole number; the nearest is {Shown(Math.Round(number))}.");
        }

        private static string Shown(double number) => number.ToString(CultureInfo.InvariantCulture);
    }
}
