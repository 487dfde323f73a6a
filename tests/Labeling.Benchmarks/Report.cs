using System.Text.Json;
using Spectre.Console;

namespace Labeling.Benchmarks;

/// <summary>One measured case: its own figure and that figure as a fraction of the limit measured in the same run.</summary>
internal sealed record Measurement(string Case, double Milliseconds, double Rate, string RateUnit, double OfLimit, string Limit);

internal static class Report
{
    /// <summary>A table for people, then one JSON object a line for programs.</summary>
    public static void Print(string benchmark, IReadOnlyList<Measurement> measurements)
    {
        var table = new Table().AddColumns("case", "ms", "rate", "of the limit", "limit");
        foreach (var m in measurements)
            table.AddRow(m.Case, $"{m.Milliseconds:0.0}", $"{m.Rate:0.#} {m.RateUnit}", $"{m.OfLimit:0.00}", m.Limit);
        AnsiConsole.Write(table);
        foreach (var m in measurements)
            Console.WriteLine(JsonSerializer.Serialize(new { benchmark, m.Case, m.Milliseconds, m.Rate, m.RateUnit, m.OfLimit, m.Limit }));
    }
}
