using System.Runtime.InteropServices;

namespace Labeling.Training.Native;

/// <summary>
/// Gives libtorch its tensors' memory from malloc. Its own allocator asks posix_memalign, and before glibc 2.38 a freed aligned block is too
/// small for the next request of the same size, whose alignment needs room in front: the heap fragments, and a process that trains
/// grows for hundreds of steps. Here every block has that room for good, so the next request of its size finds it.
/// </summary>
static unsafe partial class TensorAllocator
{
    /// <summary>Widest vector register, and the processor's cache line.</summary>
    const int Alignment = 64;

    // Places in the table of virtual functions of c10::Allocator (c10/core/Allocator.h of libtorch 2.10); two destructors come first.
    const int AllocateSlot = 2, IsSimpleSlot = 3, RawDeleterSlot = 4, Slots = 6;

    static void* release;

    /// <summary>To be called before libtorch allocates. Leaves libtorch's own allocator where the layout or the processor is not the one known here.</summary>
    /// <param name="c10">Handle of libc10.so.</param>
    public static void Install(nint c10)
    {
        if (release != null || RuntimeInformation.ProcessArchitecture != Architecture.X64
            || !NativeLibrary.TryGetExport(c10, "_ZN3c1022GetDefaultCPUAllocatorEv", out var getDefault)
            || !NativeLibrary.TryGetExport(c10, "_ZN3c1015SetCPUAllocatorEPNS_9AllocatorEh", out var setAllocator)
            || !NativeLibrary.TryGetExport(c10, "_ZNK3c109Allocator18is_simple_data_ptrERKNS_7DataPtrE", out var isSimple)) return;
        var original = *(nint**)((delegate* unmanaged<nint>)getDefault)();
        if (original[IsSimpleSlot] != isSimple || !TryCompileRelease()) return;

        // The object is its table alone, and lives as long as the process.
        var self = (nint*)NativeMemory.Alloc((Slots + 1) * (nuint)sizeof(nint));
        var table = self + 1;
        new ReadOnlySpan<nint>(original, Slots).CopyTo(new Span<nint>(table, Slots));
        table[AllocateSlot] = (nint)(delegate* unmanaged<void*, nuint, DataPtr>)&Allocate;
        table[RawDeleterSlot] = (nint)(delegate* unmanaged<void*, void*>)&RawDeleter;
        *self = (nint)table;
        ((delegate* unmanaged<void*, byte, void>)setAllocator)(self, byte.MaxValue);
    }

    /// <summary>c10::DataPtr: a pointer, a std::unique_ptr, whose deleter comes first, and a device (type CPU, no index).</summary>
    [StructLayout(LayoutKind.Sequential)]
    struct DataPtr
    {
        public void* Data;
        public void* Deleter;
        public void* Context;
        public sbyte DeviceType;
        public sbyte DeviceIndex;
    }

    [UnmanagedCallersOnly]
    static DataPtr Allocate(void* self, nuint bytes)
    {
        var result = new DataPtr { Deleter = release, DeviceIndex = -1 };
        if (bytes == 0) return result;
        void* block = null;
        if (bytes <= long.MaxValue) block = Malloc(bytes + Alignment + (nuint)sizeof(void*));
        // An exception cannot pass through libtorch.
        if (block == null) Environment.FailFast($"No memory is left: libtorch asked for {bytes:N0} bytes for one tensor. Smaller batches or micro-batches need less.");
        var data = (void**)(((nuint)block + (nuint)sizeof(void*) + Alignment - 1) & ~(nuint)(Alignment - 1));
        data[-1] = block;
        result.Data = result.Context = data;
        return result;
    }

    [UnmanagedCallersOnly]
    static void* RawDeleter(void* self) => release;

    /// <summary>
    /// free(data[-1]) in machine code: libtorch still releases tensors when the process ends and .NET has stopped.
    /// </summary>
    static bool TryCompileRelease()
    {
        if (!NativeLibrary.TryLoad("libc.so.6", out var libc) || !NativeLibrary.TryGetExport(libc, "free", out var free)) return false;
        const int Read = 1, Write = 2, Execute = 4, PrivateAnonymous = 0x22;
        var size = (nuint)Environment.SystemPageSize;
        var page = MMap(null, size, Read | Write, PrivateAnonymous, -1, 0);
        if (page == (void*)-1) return false;
        ReadOnlySpan<byte> code =
        [
            0x48, 0x85, 0xFF, // test rdi, rdi
            0x74, 0x10, // jz to the last instruction
            0x48, 0x8B, 0x7F, 0xF8, // mov rdi, [rdi - 8]
            0x48, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, // mov rax, free
            0xFF, 0xE0, // jmp rax
            0xC3, // ret
        ];
        code.CopyTo(new Span<byte>(page, code.Length));
        *(nint*)((byte*)page + 11) = free;
        if (MProtect(page, size, Read | Execute) != 0) return false;
        release = page;
        return true;
    }

    [LibraryImport("libc.so.6", EntryPoint = "malloc")]
    private static partial void* Malloc(nuint size);

    [LibraryImport("libc.so.6", EntryPoint = "mmap")]
    private static partial void* MMap(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc.so.6", EntryPoint = "mprotect")]
    private static partial int MProtect(void* address, nuint length, int protection);
}
