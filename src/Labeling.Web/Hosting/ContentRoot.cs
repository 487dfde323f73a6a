namespace Labeling.Web.Hosting;

public static class ContentRoot
{
    /// <summary>
    /// Where a published site lies, whatever folder it was started from. A built one has no wwwroot beside it:
    /// there the static web assets manifest says where the files are.
    /// </summary>
    public static string? Find() => Directory.Exists(Path.Combine(AppContext.BaseDirectory, "wwwroot")) ? AppContext.BaseDirectory : null;
}
