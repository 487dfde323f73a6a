using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Native;

/// <summary>
/// Where tensors are made, so where models calculate: the processor, or a GPU that the loaded libtorch can use. Chosen once, before anything is made;
/// random numbers are drawn on the processor all the same, so the device changes rounding, not the run.
/// </summary>
public static class ComputeDevice
{
    /// <summary>Environment variable with the folder of another build of libtorch, for example one with CUDA.</summary>
    public const string FolderVariable = "LABELING_LIBTORCH";

    /// <summary>Makes every new tensor on a device.</summary>
    /// <param name="name">cpu, cuda, or cuda:N for one of several GPUs.</param>
    /// <exception cref="LibTorchException">There is no device of that name, or the loaded libtorch cannot use it.</exception>
    public static void Use(string name)
    {
        var parts = name.Split(':');
        var index = 0;
        if (parts[0] is not ("cpu" or "cuda") || parts.Length > 2 || parts.Length == 2 && (parts[0] == "cpu" || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out index)))
            throw new LibTorchException($"'{name}' is no device. Use cpu, cuda, or cuda:N for one of several GPUs.");
        LibTorch.Initialize();
        if (parts[0] == "cpu") return;
        if (!cuda.is_available())
        {
            var folder = Environment.GetEnvironmentVariable(FolderVariable);
            throw new LibTorchException(folder is null
                ? $"The device {name} cannot be used: the libtorch that comes along calculates on the processor only. Set {FolderVariable} to the lib folder of libtorch 2.10 with CUDA."
                : $"The device {name} cannot be used: the libtorch in {FolderVariable}={folder} finds no GPU. It has to be version 2.10 with CUDA, and the driver has to be installed.");
        }
        if (index >= cuda.device_count()) throw new LibTorchException($"The device {name} cannot be used: this machine has {cuda.device_count()} GPU(s), counted from 0.");
        InitializeDeviceType(DeviceType.CUDA);
        set_default_device(new Device(DeviceType.CUDA, index));
    }

    /// <summary>Waits until the device has done what it was given; a clock read before that measures nothing.</summary>
    public static void Synchronize()
    {
        if (get_default_device().type == DeviceType.CUDA) cuda.synchronize();
    }
}
