using System.Runtime.InteropServices;
using static Labeling.Training.Native.MachineCode;

namespace Labeling.Training.Native;

/// <summary>
/// Gives libtorch its tensors' memory from malloc. Its own allocator asks posix_memalign, and before glibc 2.38 a freed aligned block is too
/// small for the next request of the same size, whose alignment needs room in front: the heap fragments, and a process that trains
/// grows for hundreds of steps. Here every block has that room for good, and sizes are rounded up to eight between a power of two and the next, so a request
/// finds the block that one much like it has left.
/// </summary>
/// <remarks>
/// In machine code, for two reasons. libtorch still releases tensors when the process ends and .NET has stopped. And a thread that comes back
/// into .NET in the middle of an operator may have to wait there for a garbage collection, which then takes the operator's other
/// arguments from it: TorchSharp does not keep a scalar alive while libtorch reads it.
/// </remarks>
static unsafe class TensorAllocator
{
    // Places in the table of virtual functions of c10::Allocator (c10/core/Allocator.h of libtorch 2.10); two destructors come first.
    const int AllocateSlot = 2, IsSimpleSlot = 3, RawDeleterSlot = 4, Slots = 6;

    static bool installed;

    /// <summary>To be called before libtorch allocates. Leaves libtorch's own allocator where the layout or the processor is not the one known here.</summary>
    /// <param name="c10">Handle of libc10.so.</param>
    public static void Install(nint c10)
    {
        if (installed || RuntimeInformation.ProcessArchitecture != Architecture.X64
            || !NativeLibrary.TryGetExport(c10, "_ZN3c1022GetDefaultCPUAllocatorEv", out var getDefault)
            || !NativeLibrary.TryGetExport(c10, "_ZN3c1015SetCPUAllocatorEPNS_9AllocatorEh", out var setAllocator)
            || !NativeLibrary.TryGetExport(c10, "_ZNK3c109Allocator18is_simple_data_ptrERKNS_7DataPtrE", out var isSimple)
            || !NativeLibrary.TryLoad("libc.so.6", out var libc)
            || !NativeLibrary.TryGetExport(libc, "malloc", out var malloc) || !NativeLibrary.TryGetExport(libc, "free", out var free)) return;
        var original = (nint*)((delegate* unmanaged<nint>)getDefault)();
        var functions = (nint*)*original;
        if (functions[IsSimpleSlot] != isSimple) return;

        var page = NewPage();
        if (page == null) return;
        var code = (byte*)page;
        nint Place(params ReadOnlySpan<byte> bytes)
        {
            var start = code;
            bytes.CopyTo(new Span<byte>(start, bytes.Length));
            code += bytes.Length;
            return (nint)start;
        }

        // void release(void* data): free(data[-1])
        var release = Place(
        [
            0x48, 0x85, 0xFF, //             test rdi, rdi
            0x74, 0x10, //                   jz end
            0x48, 0x8B, 0x7F, 0xF8, //       mov rdi, [rdi - 8]
            0x48, 0xB8, .. Number(free), //  mov rax, free
            0xFF, 0xE0, //                   jmp rax
            0xC3, //                    end: ret
        ]);
        // DataPtr allocate(Allocator* self, size_t bytes): with room for the block's own address and 64 bytes to align by, rounded up; by the original where that fails, for its error
        var allocate = Place(
        [
            0x48, 0x85, 0xD2, //                         test rdx, rdx
            0x74, 0x6D, //                               jz original
            0x49, 0x89, 0xD0, //                         mov r8, rdx
            0x49, 0xC1, 0xE8, 0x3E, //                   shr r8, 62
            0x75, 0x64, //                               jnz original
            0x4C, 0x8D, 0x42, 0x47, //                   lea r8, [rdx + 71]
            0x49, 0x0F, 0xBD, 0xC8, //                   bsr rcx, r8
            0x83, 0xE9, 0x03, //                         sub ecx, 3
            0x41, 0xB9, 1, 0, 0, 0, //                   mov r9d, 1
            0x49, 0xD3, 0xE1, //                         shl r9, cl
            0x49, 0xFF, 0xC9, //                         dec r9
            0x4D, 0x09, 0xC8, //                         or r8, r9
            0x49, 0xFF, 0xC0, //                         inc r8
            0x57, 0x56, 0x52, //                         push rdi, rsi, rdx
            0x4C, 0x89, 0xC7, //                         mov rdi, r8
            0x48, 0xB8, .. Number(malloc), //            mov rax, malloc
            0xFF, 0xD0, //                               call rax
            0x5A, 0x5E, 0x5F, //                         pop rdx, rsi, rdi
            0x48, 0x85, 0xC0, //                         test rax, rax
            0x74, 0x2D, //                               jz original
            0x48, 0x8D, 0x48, 0x47, //                   lea rcx, [rax + 71]
            0x48, 0x83, 0xE1, 0xC0, //                   and rcx, -64
            0x48, 0x89, 0x41, 0xF8, //                   mov [rcx - 8], rax
            0x48, 0x89, 0x0F, //                         mov [rdi], rcx           DataPtr: the data
            0x48, 0xB8, .. Number(release), //           mov rax, release
            0x48, 0x89, 0x47, 0x08, //                   mov [rdi + 8], rax       std::unique_ptr: the deleter
            0x48, 0x89, 0x4F, 0x10, //                   mov [rdi + 16], rcx      and what it is for
            0x48, 0xC7, 0x47, 0x18, 0, 0xFF, 0, 0, //    mov [rdi + 24], 0xFF00   Device: CPU, no index
            0x48, 0x89, 0xF8, //                         mov rax, rdi
            0xC3, //                                     ret
            0x48, 0xBE, .. Number((nint)original), // original: mov rsi, the allocator
            0x48, 0xB8, .. Number(functions[AllocateSlot]), //  mov rax, its function
            0xFF, 0xE0, //                                      jmp rax
        ]);
        // DeleterFnPtr raw_deleter(Allocator* self)
        var rawDeleter = Place([0x48, 0xB8, .. Number(release), /* mov rax, release */ 0xC3 /* ret */]);
        if (!Seal(page, (int)(code - (byte*)page))) return;

        // The object is its table alone, and lives as long as the process.
        var self = (nint*)NativeMemory.Alloc((Slots + 1) * (nuint)sizeof(nint));
        var table = self + 1;
        new ReadOnlySpan<nint>(functions, Slots).CopyTo(new Span<nint>(table, Slots));
        (table[AllocateSlot], table[RawDeleterSlot], *self) = (allocate, rawDeleter, (nint)table);
        ((delegate* unmanaged<void*, byte, void>)setAllocator)(self, byte.MaxValue);
        installed = true;
    }
}
