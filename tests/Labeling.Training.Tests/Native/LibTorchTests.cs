using System.Text;
using Labeling.Training.Native;

namespace Labeling.Training.Tests.Native;

public sealed class LibTorchTests
{
    static string? Library => new[] { AppContext.BaseDirectory, Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native") }
        .Select(f => Path.Combine(f, "libLibTorchSharp.so")).FirstOrDefault(File.Exists);

    [Fact]
    public void Can_be_initialized_again_and_from_many_threads() =>
        Parallel.For(0, 16, _ => LibTorch.Initialize());

    [Fact]
    public void The_mend_removes_the_need_for_the_newer_version_and_changes_nothing_else()
    {
        Assert.SkipWhen(Library is null, "not the Linux library");
        var original = File.ReadAllBytes(Library!);
        var mended = ElfMend.Mend(original);
        Assert.Equal(original.Length, mended.Length);
        // Symbol: 4 bytes of name, 2 of version. Version need: 4 of hash, 4 of name.
        Assert.InRange(original.Zip(mended).Count(b => b.First != b.Second), 4, 14);
        // Nothing is left to point at symbol or version, so a second mend finds neither.
        var error = Assert.Throws<InvalidDataException>(() => ElfMend.Mend(mended));
        Assert.Contains("_ZSt21ios_base_library_initv", error.Message);
    }

    [Fact]
    public void Another_or_a_damaged_file_is_refused()
    {
        Assert.Throws<InvalidDataException>(() => ElfMend.Mend(Encoding.ASCII.GetBytes("not an ELF file, but long enough to have a header of 64 bytes in it")));
        if (Library is not { } path) return;
        Assert.Throws<InvalidDataException>(() => ElfMend.Mend(File.ReadAllBytes(path).AsSpan(0, 4096)));
    }
}
