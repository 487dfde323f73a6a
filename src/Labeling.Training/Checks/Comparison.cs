using System.Globalization;

namespace Labeling.Training.Checks;

/// <summary>
/// One quantity against its golden values: |expected − actual| ≤ absolute + relative·|expected|, or equality where both tolerances are 0.
/// Remembers the value that uses up most of its tolerance.
/// </summary>
/// <param name="quantity">Its name in the report.</param>
/// <param name="absolute">Absolute tolerance.</param>
/// <param name="relative">Relative tolerance.</param>
internal sealed class Comparison(string quantity, double absolute, double relative)
{
    private double worst = -1;
    private string worstText = "";
    private int outside;

    public static Comparison Exact(string quantity) => new(quantity, 0, 0);

    /// <summary>Values compared.</summary>
    public int Count { get; private set; }

    public bool Passed => outside == 0;

    /// <param name="expected">The golden value.</param>
    /// <param name="actual">The value computed here.</param>
    /// <param name="place">Where the value stands.</param>
    /// <param name="at">Indices within the place.</param>
    public void Add(double expected, double actual, string place, params ReadOnlySpan<int> at)
    {
        Count++;
        var difference = expected.Equals(actual) ? 0 : Math.Abs(expected - actual);
        var share = double.IsFinite(difference) ? difference / (absolute + (relative * Math.Abs(expected))) : double.PositiveInfinity;
        if (!(share <= 1))
        {
            outside++;
        }
        if (share <= worst)
        {
            return;
        }
        worst = share;
        var where = at.IsEmpty ? place : $"{place}[{string.Join(',', at.ToArray())}]";
        worstText = string.Create(CultureInfo.InvariantCulture, $"largest difference {difference:0.0e+00} at {where} (expected {expected:g7}, got {actual:g7})");
    }

    /// <summary>A value that must be equal; the first that is not is reported.</summary>
    public void AddExact(bool equal, Func<string> difference)
    {
        Count++;
        if (equal)
        {
            return;
        }
        if (outside++ == 0)
        {
            worstText = "first at " + difference();
        }
    }

    /// <summary>Something that could not be compared at all counts as outside.</summary>
    public void Fail(string what) => AddExact(false, () => what);

    public override string ToString()
    {
        var verdict = Passed ? "ok  " : "OUT ";
        return absolute > 0
            ? string.Create(CultureInfo.InvariantCulture, $"  {verdict} {quantity}: {worstText}; tolerance {absolute:0e+0} + {relative:0e+0}*|expected|; {outside} of {Count} values outside")
            : $"  {verdict} {quantity}: {outside} of {Count} differ{(Passed ? "" : "; " + worstText)}; must be equal";
    }
}
