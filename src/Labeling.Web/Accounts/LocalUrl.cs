namespace Labeling.Web.Accounts;

public static class LocalUrl
{
    /// <summary>The address when it stays on this site, else the other one: a sign-in link must not lead elsewhere.</summary>
    public static string Or(string? address, string otherwise) =>
        address is ['/', ..] and not (['/', '/', ..] or ['/', '\\', ..]) && !address.Any(char.IsControl) ? address : otherwise;
}
