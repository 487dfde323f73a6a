using System.Globalization;
using FluentValidation;

namespace Labeling.Core.Features;

/// <summary>One page of a list sorted in the database. <paramref name="Next"/> is the key to ask for the following page, null at the end.</summary>
public sealed record Page<T>(IReadOnlyList<T> Items, string? Next);

/// <summary>
/// The key of a list sorted by time and id: a page starts after the last row of the one before, so that rows added meanwhile neither repeat nor hide others.
/// PostgreSQL keeps microseconds, so the key does too.
/// </summary>
public static class PageKey
{
    public const int MaxSize = 1000;

    public static string Write(DateTimeOffset at, Guid id) => string.Create(CultureInfo.InvariantCulture, $"{at.UtcTicks:x}-{id:n}");

    public static bool TryRead(string? key, out DateTimeOffset at, out Guid id)
    {
        (at, id) = (default, default);
        var dash = key?.IndexOf('-') ?? -1;
        if (dash < 0 || !long.TryParse(key.AsSpan(0, dash), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var ticks)) return false;
        if (ticks < 0 || ticks > DateTimeOffset.MaxValue.Ticks || !Guid.TryParseExact(key.AsSpan(dash + 1), "N", out id)) return false;
        at = new DateTimeOffset(ticks, TimeSpan.Zero);
        return true;
    }

    public static IRuleBuilderOptions<T, string?> MustBePageKey<T>(this IRuleBuilder<T, string?> rule) =>
        rule.Must(key => key is null || TryRead(key, out _, out _)).WithMessage("'{PropertyName}' is not a key this list gave out; leave it empty for the first page.");

    public static IRuleBuilderOptions<T, int> MustBePageSize<T>(this IRuleBuilder<T, int> rule) =>
        rule.InclusiveBetween(1, MaxSize);
}
