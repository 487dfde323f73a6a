using System.Runtime.InteropServices;

namespace Labeling.Training.Native;

/// <summary>
/// Lets the numbers that are handed to libtorch live a little longer than TorchSharp does. <c>x * 0.5</c> makes a scalar that nothing in .NET holds once its
/// address is passed on: a garbage collection that another thread starts while libtorch is about to read it gives its memory away, and the operator fails
/// ("Expected false to be true") or calculates with another number. So a scalar's memory is only given back a while after TorchSharp let go of it.
/// </summary>
static unsafe class ScalarRelease
{
    /// <summary>Longer than a thread waits for a core between passing on an address and reading what is there, in milliseconds.</summary>
    const long Patience = 250;

    static readonly Lock Gate = new();
    static readonly Queue<(nint Scalar, long At)> Waiting = new();

    /// <summary>To be called before TorchSharp lets go of a scalar. Leaves a library alone that is not the one known here.</summary>
    /// <param name="library">Handle of libLibTorchSharp.so.</param>
    public static void Install(nint library)
    {
        if (RuntimeInformation.ProcessArchitecture != Architecture.X64 || !NativeLibrary.TryGetExport(library, "THSTorch_dispose_scalar", out var dispose)) return;
        // test rdi, rdi; jz end; mov eax, [rdi]; add eax, -5: "delete scalar", which is 50 bytes long.
        ReadOnlySpan<byte> known = [0x48, 0x85, 0xFF, 0x74, 0x2D, 0x8B, 0x07, 0x83, 0xC0, 0xFB];
        var code = (byte*)dispose;
        if (!new ReadOnlySpan<byte>(code, known.Length).SequenceEqual(known)) return;
        delegate* unmanaged<nint, void> release = &Release;
        byte[] jump = [0x48, 0xB8, .. MachineCode.Number((nint)release), /* mov rax, release */ 0xFF, 0xE0 /* jmp rax */];
        if (!MachineCode.Open(code, jump.Length)) return;
        jump.CopyTo(new Span<byte>(code, jump.Length));
        _ = MachineCode.Seal(code, jump.Length);
    }

    [UnmanagedCallersOnly]
    static void Release(nint scalar)
    {
        if (scalar == 0) return;
        var now = Environment.TickCount64;
        lock (Gate)
        {
            Waiting.Enqueue((scalar, now));
            // A scalar of TorchSharp is a plain number: C++'s delete gives back its memory and nothing else.
            while (now - Waiting.Peek().At > Patience) NativeMemory.Free((void*)Waiting.Dequeue().Scalar);
        }
    }
}
