using System.Reflection;
using System.Runtime.InteropServices;
using Labeling.Training.Native;
using TorchSharp;

namespace Labeling.Training.Tests.Native;

public class ScalarReleaseTests
{
    /// <summary>glibc writes its own notes into memory that was given back.</summary>
    [Fact]
    public unsafe void A_number_can_be_read_after_TorchSharp_has_let_go_of_it()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64, "Elsewhere TorchSharp's own function stays.");
        LibTorch.Initialize();
        var handle = typeof(Scalar).GetProperty("Handle", BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public)!;
        foreach (var number in new[] { 2.5, -1e300, 0 })
        {
            using Scalar scalar = number;
            var memory = new ReadOnlySpan<byte>((void*)(nint)handle.GetValue(scalar)!, 32);
            var before = memory.ToArray();
            scalar.Dispose();
            Assert.Equal(before, memory);
            Assert.Equal(number, MemoryMarshal.Read<double>(memory[16..]));
        }
    }
}
