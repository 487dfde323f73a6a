using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Labeling.Training.Native;

/// <summary>Direct views of a tensor's memory, for kernels and file formats written in C#.</summary>
static unsafe partial class TensorMemory
{
    /// <summary>Address of the first element of a contiguous CPU tensor; valid while the tensor lives.</summary>
    /// <exception cref="ArgumentException">The tensor is on a device or not contiguous.</exception>
    public static byte* Pointer(Tensor tensor)
    {
        if (tensor.device_type != TorchSharp.DeviceType.CPU || !tensor.is_contiguous())
            throw new ArgumentException("a contiguous CPU tensor is needed", nameof(tensor));
        return (byte*)THSTensor_data(tensor.Handle);
    }

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
