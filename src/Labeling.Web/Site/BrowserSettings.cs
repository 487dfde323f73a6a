using System.Globalization;

namespace Labeling.Web.Site;

/// <summary>What theme.js tells about the browser in cookies: the look and the time zone. Known before the circuit exists, so nothing flashes or jumps.</summary>
public sealed record BrowserSettings(string Choice, bool Dark, TimeZoneInfo Zone)
{
    public static readonly BrowserSettings Default = new("system", false, TimeZoneInfo.Utc);

    public static BrowserSettings From(IRequestCookieCollection cookies)
    {
        var theme = (cookies["labeling-theme"] ?? "").Split('-');
        var choice = theme[0] is "light" or "dark" ? theme[0] : "system";
        return new BrowserSettings(choice, theme[^1] == "dark", ZoneOf(cookies["labeling-zone"]));
    }

    public string Time(DateTimeOffset value) => Local(value).ToString("HH:mm", CultureInfo.InvariantCulture);

    public string DateAndTime(DateTimeOffset value) => Local(value).ToString("d MMM yyyy, HH:mm", CultureInfo.InvariantCulture);

    public DateTimeOffset Local(DateTimeOffset value) => TimeZoneInfo.ConvertTime(value, Zone);

    private static TimeZoneInfo ZoneOf(string? name) =>
        name is { Length: > 0 and < 64 } && TimeZoneInfo.TryFindSystemTimeZoneById(name, out var zone) ? zone : TimeZoneInfo.Utc;
}
