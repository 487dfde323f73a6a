using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using TorchSharp;

namespace Labeling.Training.Native;

/// <summary>
/// Brings libtorch into the process. The hooks are set by a module initializer, before any other code of this assembly
/// runs, so every use of Training gets them; libtorch itself is only loaded when it is first needed.
/// </summary>
public static partial class LibTorch
{
    const string LibraryName = "LibTorchSharp";
    const string FileName = "libLibTorchSharp.so";

    static readonly Lazy<nint> Library = new(LoadOnLinux);
    static readonly Lazy<string?> SelfTest = new(RunSelfTest);
    static string? loadFailure;

    /// <summary>
    /// Loads libtorch and proves it with one multiplication. Calling it again costs nothing; calling it at all is only
    /// needed where an early, clear error is wanted.
    /// </summary>
    /// <exception cref="LibTorchException">libtorch cannot be loaded or calculates wrongly on this machine.</exception>
    public static void Initialize()
    {
        if (SelfTest.Value is { } problem) throw new LibTorchException(problem);
    }

#pragma warning disable CA2255 // Nothing else runs early enough in every program, test and notebook that uses this library.
    [ModuleInitializer]
    internal static void Register()
#pragma warning restore CA2255
    {
        if (OperatingSystem.IsLinux()) PrepareProcess();
        var torchSharp = typeof(torch).Assembly;
        foreach (var assembly in new[] { torchSharp, typeof(LibTorch).Assembly })
        {
            try
            {
                NativeLibrary.SetDllImportResolver(assembly, (name, _, _) => Resolve(name));
            }
            catch (InvalidOperationException)
            {
                // The host set a resolver of its own; the event below still mends what that one cannot load.
            }
        }
        // TorchSharp's static constructor asks for the library by name, which goes past import resolvers.
        var context = AssemblyLoadContext.GetLoadContext(torchSharp) ?? AssemblyLoadContext.Default;
        context.ResolvingUnmanagedDll += (_, name) => Resolve(name);
    }

    static nint Resolve(string name) => name == LibraryName && OperatingSystem.IsLinux() ? Library.Value : 0;

    static nint LoadOnLinux()
    {
        var folder = SearchFolders().FirstOrDefault(f => File.Exists(Path.Combine(f, FileName)));
        if (folder is null)
        {
            loadFailure = $"{FileName} is not beside the program. Searched: {string.Join(", ", SearchFolders())}.";
            return 0;
        }
        var original = Path.Combine(folder, FileName);
        // Loaded once by full path, these satisfy the dependencies of a mended copy that lives elsewhere.
        var torchFolder = new[] { Environment.GetEnvironmentVariable(ComputeDevice.FolderVariable) }.OfType<string>().Concat(SearchFolders()).FirstOrDefault(f => File.Exists(Path.Combine(f, "libtorch_cpu.so"))) ?? folder;
        foreach (var dependency in new[] { "libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so" })
        {
            var path = Path.Combine(torchFolder, dependency);
            if (!File.Exists(path)) continue;
            try
            {
                var handle = NativeLibrary.Load(path);
                if (dependency == "libc10.so") TensorAllocator.Install(handle);
                if (dependency == "libtorch_cpu.so") TensorMemory.Find(handle);
            }
            catch (DllNotFoundException e)
            {
                loadFailure = $"{dependency} does not load: {e.Message}";
                return 0;
            }
        }
        var library = LoadOrMend(original);
        if (library != 0) ScalarRelease.Install(library);
        return library;
    }

    static nint LoadOrMend(string original)
    {
        try
        {
            return NativeLibrary.Load(original);
        }
        catch (DllNotFoundException e) when (e.Message.Contains(ElfMend.MissingVersion, StringComparison.Ordinal))
        {
            try
            {
                return ElfMend.Load(original);
            }
            catch (Exception mend) when (mend is DllNotFoundException or IOException or UnauthorizedAccessException or InvalidDataException)
            {
                loadFailure = $"{FileName} needs a newer libstdc++ ({ElfMend.MissingVersion}) than this system has, and the "
                    + $"mended copy does not work either: {mend.Message}. A system with GCC 13's libstdc++ or newer (Debian 13, Ubuntu 24.04) runs the original.";
                return 0;
            }
        }
        catch (DllNotFoundException e)
        {
            loadFailure = $"{FileName} does not load: {e.Message}";
            return 0;
        }
    }

    static IEnumerable<string> SearchFolders()
    {
        var native = AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "";
        var beside = AppContext.BaseDirectory;
        return native.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Append(beside)
            .Append(Path.Combine(beside, "runtimes", RuntimeInformation.RuntimeIdentifier, "native"))
            .Append(Path.Combine(beside, "runtimes", "linux-x64", "native"))
            .Distinct();
    }

    static string? RunSelfTest()
    {
        try
        {
            using var scope = torch.NewDisposeScope();
            var product = torch.tensor(new float[] { 1, 2, 3, 4 }).reshape(2, 2).mm(torch.tensor(new float[] { 5, 6, 7, 8 }).reshape(2, 2));
            float[] expected = [19, 22, 43, 50];
            var actual = product.cpu().data<float>().ToArray();
            return actual.SequenceEqual(expected)
                ? null
                : $"libtorch multiplies wrongly on this machine: [[1,2],[3,4]]·[[5,6],[7,8]] gave {string.Join(", ", actual)}.";
        }
        catch (Exception e) when (e is TypeInitializationException or DllNotFoundException or EntryPointNotFoundException or NotSupportedException or ExternalException)
        {
            return $"libtorch cannot be used on this machine. {loadFailure ?? (e.InnerException ?? e).Message}";
        }
    }

    /// <summary>
    /// What has to stand before libtorch and its libgomp are loaded. libgomp's endless spinning at barriers triples step times as
    /// soon as another process wants a core. A value the caller has set wins.
    /// </summary>
    static void PrepareProcess()
    {
        NativeHeap.Configure();
        try
        {
            // Environment.SetEnvironmentVariable does not reach the C environment that libgomp reads.
            if (Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is null) _ = SetEnv("GOMP_SPINCOUNT", "2000", 0);
            // oneDNN, which multiplies in bfloat16, keeps a compiled kernel for each of the last 1,024 shapes: hundreds of megabytes where lengths vary.
            _ = SetEnv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64", 0);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // Not glibc, so not the bundled libgomp either.
        }
    }

    [LibraryImport("libc.so.6", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnv(string name, string value, int overwrite);
}

/// <summary>libtorch cannot be used on this machine; the message says why and what would help.</summary>
public sealed class LibTorchException(string message) : Exception(message);
