using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Labeling.Training.Native;

/// <summary>
/// Keeps glibc's heap fast and small under libtorch's load of large blocks that come and go every step (<see cref="TensorAllocator"/>). Left alone, glibc hands
/// most of them back to the system at once, and a third of a small model's step goes into the page faults of getting them again. So: keep them, and
/// return what is free, fragments between blocks of many lengths, whenever the process holds more than its steps need.
/// </summary>
static partial class NativeHeap
{
    /// <summary>In so many first calls free memory is returned whatever the process holds, to learn what it needs: batches of all lengths have come by then.</summary>
    const int WarmUp = 24;

    /// <summary>Calls between returns in these first calls: what the process holds so soon after one, it needs; the rest is fragments.</summary>
    const int Soon = 4;

    /// <summary>Calls after a return in which the process grows back to what it needs: the longest batches have come again by then. Fragments take longer.</summary>
    const int Settling = 32;

    /// <summary>.NET would let garbage grow to a share of the processor's cache, tens of megabytes on a server.</summary>
    const long GarbageBytes = 1 << 20;

    /// <summary>The same, but a large heap is not searched for every megabyte.</summary>
    static long garbage = GarbageBytes;

    /// <summary>
    /// Set by a program that does nothing but train. Elsewhere garbage is not collected from here: it stops all threads of a
    /// program, and may take from one what it has just handed to libtorch (<see cref="ScalarRelease"/>).
    /// </summary>
    static readonly bool ownsProcess = AppContext.TryGetSwitch("Labeling.Training.OwnsProcess", out var owns) && owns;

    static bool active;
    static int calls;
    static int trimmedAt;
    static long needed;
    static long collectedAt;
    static SafeFileHandle? sizes;

    /// <summary>To be called before libtorch allocates. Does nothing where the caller has set glibc's own variables, or without glibc.</summary>
    public static void Configure()
    {
        const int TrimThreshold = -1, TopPad = -2, MmapMax = -4;
        if (Environment.GetEnvironmentVariables().Keys.Cast<string>().Any(k => k.StartsWith("MALLOC_", StringComparison.Ordinal) || k == "GLIBC_TUNABLES")) return;
        try
        {
            // Blocks with mappings of their own, logits and the gradients of a large vocabulary above all, would be new pages in every step.
            active = MallOpt(MmapMax, 0) == 1;
            _ = MallOpt(TrimThreshold, int.MaxValue);
            _ = MallOpt(TopPad, 16 << 20);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // Another C library: its allocator does not have these faults.
        }
    }

    /// <summary>Gives free memory back when fragments have made the process grow by half a hundredth; costs microseconds otherwise. Called once per step.</summary>
    public static void TrimWhenGrown()
    {
        if (!active) return;
        var allocated = GC.GetTotalAllocatedBytes();
        if (ownsProcess && allocated - collectedAt > garbage)
        {
            GC.Collect();
            garbage = Math.Max(GarbageBytes, GC.GetTotalMemory(false) / 8);
            collectedAt = allocated;
        }
        calls++;
        var since = calls - trimmedAt;
        var resident = Resident();
        if (calls <= WarmUp)
        {
            // What loading left does not count, and goes once: collected so thoroughly again, the heap would only have to grow again.
            if (calls > Soon) needed = Math.Max(needed, resident);
            if (since < Soon) return;
            if (ownsProcess && calls == Soon) GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }
        else if (since <= Settling)
        {
            needed = Math.Max(needed, resident);
            return;
        }
        else if (resident <= needed + (needed / 200))
        {
            return;
        }
        _ = MallocTrim(0);
        trimmedAt = calls;
    }

    static long Resident()
    {
        Span<byte> text = stackalloc byte[128];
        // Opening it takes longer than reading it, and it is written anew for every reading.
        sizes ??= File.OpenHandle("/proc/self/statm");
        var fields = text[..RandomAccess.Read(sizes, text, 0)];
        var second = fields[(fields.IndexOf((byte)' ') + 1)..];
        return long.Parse(second[..second.IndexOf((byte)' ')], NumberStyles.None, CultureInfo.InvariantCulture) * Environment.SystemPageSize;
    }

    [LibraryImport("libc.so.6", EntryPoint = "mallopt")]
    private static partial int MallOpt(int parameter, int value);

    [LibraryImport("libc.so.6", EntryPoint = "malloc_trim")]
    private static partial int MallocTrim(nuint pad);
}
