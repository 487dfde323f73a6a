using System.Runtime.InteropServices;

namespace Labeling.Training.Native;

/// <summary>The memory that machine code of our own is written to.</summary>
static unsafe partial class MachineCode
{
    const int Read = 1, Write = 2, Execute = 4;

    /// <summary>A page to write code to, which <see cref="Seal"/> makes executable; null where there is none.</summary>
    public static void* NewPage()
    {
        const int PrivateAnonymous = 0x22;
        var page = MMap(null, (nuint)Environment.SystemPageSize, Read | Write, PrivateAnonymous, -1, 0);
        return page == (void*)-1 ? null : page;
    }

    /// <summary>Ends the writing: the code can be executed. False where the system forbids it.</summary>
    /// <param name="code">Anywhere in the code's first page.</param>
    /// <param name="length">Bytes from there.</param>
    public static bool Seal(void* code, int length) => Protect(code, length, Read | Execute);

    /// <summary>Allows writing to code that stays executable meanwhile. False where the system forbids it.</summary>
    /// <param name="code">Anywhere in the code's first page.</param>
    /// <param name="length">Bytes from there.</param>
    public static bool Open(void* code, int length) => Protect(code, length, Read | Write | Execute);

    /// <summary>An address as an instruction contains it.</summary>
    public static byte[] Number(nint address) => BitConverter.GetBytes((long)address);

    static bool Protect(void* code, int length, int protection)
    {
        var page = (nint)code & -Environment.SystemPageSize;
        return MProtect(page, (nuint)((nint)code + length - page), protection) == 0;
    }

    [LibraryImport("libc.so.6", EntryPoint = "mmap")]
    private static partial void* MMap(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc.so.6", EntryPoint = "mprotect")]
    private static partial int MProtect(nint address, nuint length, int protection);
}
