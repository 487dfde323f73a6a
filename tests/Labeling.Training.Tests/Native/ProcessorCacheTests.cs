using Labeling.Training.Native;

namespace Labeling.Training.Tests.Native;

public sealed class ProcessorCacheTests : IDisposable
{
    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory();

    public void Dispose() => folder.Delete(recursive: true);

    [Theory]
    [InlineData(new[] { "48K", "2048K", "307200K" }, 307200L << 10)]
    [InlineData(new[] { "32K\n", "36M\n" }, 36L << 20)]
    [InlineData(new[] { "4096" }, 4096)]
    [InlineData(new string[0], 32L << 20)]
    [InlineData(new[] { "" }, 32L << 20)]
    [InlineData(new[] { "-1K" }, 32L << 20)]
    [InlineData(new[] { "many" }, 32L << 20)]
    public void The_largest_counts(string[] sizes, long expected)
    {
        foreach (var (size, i) in sizes.Select((s, i) => (s, i))) File.WriteAllText(Path.Combine(folder.CreateSubdirectory($"index{i}").FullName, "size"), size);
        Assert.Equal(expected, ProcessorCache.Find(folder.FullName));
    }

    [Fact]
    public void Where_the_system_does_not_say_it_is_a_usual_one()
    {
        folder.CreateSubdirectory("index0");
        Assert.Equal(32L << 20, ProcessorCache.Find(folder.FullName));
        Assert.Equal(32L << 20, ProcessorCache.Find(Path.Combine(folder.FullName, "none")));
    }
}
