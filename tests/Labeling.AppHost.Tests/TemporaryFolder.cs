namespace Labeling.AppHost.Tests;

/// <summary>A folder that is gone after the test. Its name has what paths may have: spaces, quotes and a dollar sign.</summary>
public sealed class TemporaryFolder : IDisposable
{
    public TemporaryFolder()
    {
        Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"labeling host \"$HOME\" {Guid.NewGuid():N}");
        Directory.CreateDirectory(Path);
    }

    public string Path { get; }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
