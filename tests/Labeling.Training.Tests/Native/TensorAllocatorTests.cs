using System.Runtime.InteropServices;
using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Native;

public unsafe class TensorAllocatorTests
{
    [Fact]
    public void Data_are_aligned_and_remember_the_block_they_lie_in()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64, "Elsewhere libtorch's own allocator stays.");
        using var scope = NewDisposeScope();
        foreach (var bytes in Enumerable.Range(1, 300).Append(1 << 20).Append(40_000_001))
        {
            var data = (nint)TensorMemory.Pointer(zeros(bytes, ScalarType.Byte));
            Assert.Equal(0, data % 64);
            var block = *(nint*)(data - sizeof(nint));
            Assert.InRange(data - block, sizeof(nint), 71);
        }
    }

    [Fact]
    public void A_tensor_of_nothing_has_no_data()
    {
        using var nothing = zeros(0, 5);
        Assert.Equal(0, nothing.sum().ToDouble());
    }

    [Fact]
    public void What_no_memory_has_room_for_is_libtorchs_error()
    {
        var error = Assert.ThrowsAny<ExternalException>(() => empty(1L << 50, ScalarType.Byte));
        Assert.Contains("1125899906842624 bytes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Memory_can_be_asked_for_without_a_tensor()
    {
        // oneDNN's products in bfloat16 do.
        using var scope = NewDisposeScope();
        var product = nn.functional.linear(eye(64).to_type(ScalarType.BFloat16), full([64, 64], 3).to_type(ScalarType.BFloat16), ones(64).to_type(ScalarType.BFloat16));
        Assert.Equal(4 * 64 * 64, product.to_type(ScalarType.Float32).sum().ToDouble());
    }
}
