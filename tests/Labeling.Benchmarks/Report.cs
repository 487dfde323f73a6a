using System.Text.Json;
using Spectre.Console;

namespace Labeling.Benchmarks;

/// <summary>One measured case: its own figure and, where there is a limit, that figure as a fraction of the limit measured in the same run.</summary>
internal sealed record Measurement(string Case, double? Milliseconds, double Rate, string RateUnit, double? OfLimit = null, string Limit = "");

internal static class Report
{
    /// <summary>One JSON object a line for programs, as the cases end, then a table for people.</summary>
    public static void Print(string benchmark, IEnumerable<Measurement> measurements)
    {
        var table = new Table().AddColumns("case", "ms", "rate", "of the limit", "limit");
        foreach (var m in measurements)
        {
            Console.WriteLine(JsonSerializer.Serialize(new { benchmark, m.Case, m.Milliseconds, m.Rate, m.RateUnit, m.OfLimit, m.Limit }));
            table.AddRow(m.Case, $"{m.Milliseconds:0.00}", $"{m.Rate:0.##} {m.RateUnit}", $"{m.OfLimit:0.00}", m.Limit);
        }
        // A file has no width of its own; the assumed 80 columns would break every case over several lines.
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 160;
        AnsiConsole.Write(table);
    }
}
