using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Labeling.Training.Native;

/// <summary>Direct views of a tensor's memory, for kernels and file formats written in C#.</summary>
static unsafe partial class TensorMemory
{
    // int64 at::_ops::_version::call(Tensor const&)
    static nint versionFunction;

    /// <summary>Address of the first element of a contiguous CPU tensor; valid while the tensor lives.</summary>
    /// <exception cref="ArgumentException">The tensor is on a device or not contiguous.</exception>
    public static byte* Pointer(Tensor tensor)
    {
        if (tensor.device_type != TorchSharp.DeviceType.CPU || !tensor.is_contiguous())
            throw new ArgumentException("a contiguous CPU tensor is needed", nameof(tensor));
        return (byte*)THSTensor_data(tensor.Handle);
    }

    /// <summary>How often libtorch has written to a tensor's memory, whichever view of it was meant; null where this libtorch does not tell.</summary>
    public static long? Version(Tensor tensor) => versionFunction == 0 ? null : ((delegate* unmanaged<nint, long>)versionFunction)(tensor.Handle);

    /// <summary>Looks for what <see cref="Version"/> asks, which TorchSharp leaves out.</summary>
    /// <param name="torch">Handle of libtorch_cpu.so.</param>
    public static void Find(nint torch) => NativeLibrary.TryGetExport(torch, "_ZN2at4_ops8_version4callERKNS_6TensorE", out versionFunction);

    /// <summary>Address of the first element of a CPU tensor of any strides; valid while the tensor lives.</summary>
    public static nint Address(Tensor tensor) => THSTensor_data(tensor.Handle);

    /// <summary>The elements of a contiguous CPU tensor as a span; keep the tensor alive while using it.</summary>
    public static Span<T> Span<T>(Tensor tensor) where T : unmanaged
    {
        if (tensor.ElementSize != sizeof(T)) throw new ArgumentException($"elements have {tensor.ElementSize} bytes, not {sizeof(T)}", nameof(tensor));
        return new Span<T>(Pointer(tensor), checked((int)tensor.NumberOfElements));
    }

    [LibraryImport("LibTorchSharp")]
    private static partial nint THSTensor_data(nint handle);
}
