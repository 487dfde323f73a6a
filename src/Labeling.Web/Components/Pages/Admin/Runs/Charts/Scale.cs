namespace Labeling.Web.Components.Pages.Admin.Runs.Charts;

/// <summary>An axis from round number to round number around the values, with its marks.</summary>
public sealed record Scale(double Low, double High, IReadOnlyList<double> Marks)
{
    /// <param name="values">What has to fit.</param>
    /// <param name="about">How many marks are wished for.</param>
    /// <param name="whole">Only whole numbers are marked, and the axis ends with the values: for steps.</param>
    public static Scale Around(IEnumerable<double> values, int about, bool whole = false)
    {
        var (low, high) = (double.PositiveInfinity, double.NegativeInfinity);
        foreach (var value in values)
        {
            (low, high) = (Math.Min(low, value), Math.Max(high, value));
        }

        if (low > high)
        {
            return new Scale(0, 1, [0, 1]);
        }

        if (high - low <= Math.Abs(high) * 1e-9)
        {
            // A flat line still needs an axis around it.
            var room = whole ? 1 : Math.Max(Math.Abs(high) * 0.1, 1e-6);
            (low, high) = (low - room, high + room);
        }

        var step = Round((high - low) / Math.Max(1, about), whole);
        var marks = new List<double>();
        var from = (long)Math.Floor(low / step);
        var to = (long)Math.Ceiling(high / step);
        for (var i = from; i <= to; i++)
        {
            // Through decimal, so that a mark reads 0.3 and not 0.30000000000000004.
            var mark = i * step;
            marks.Add(Math.Abs(mark) is > 1e-20 and < 1e20 && step > 1e-20 ? (double)((decimal)i * (decimal)step) : mark);
        }

        return whole ? new Scale(low, high, [.. marks.Where(m => m >= low && m <= high)]) : new Scale(marks[0], marks[^1], marks);
    }

    /// <summary>Where a value lies between the ends, 0 to 1.</summary>
    public double At(double value) => (value - Low) / (High - Low);

    private static double Round(double rough, bool whole)
    {
        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        var step = (rough / power) switch { <= 1.0 => 1, <= 2.0 => 2, <= 2.5 => 2.5, <= 5.0 => 5, _ => 10 } * power;
        return whole ? Math.Max(1, Math.Ceiling(step)) : step;
    }
}
