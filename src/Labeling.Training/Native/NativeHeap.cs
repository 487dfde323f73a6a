using System.Globalization;
using System.Runtime.InteropServices;

namespace Labeling.Training.Native;

/// <summary>
/// Keeps glibc's heap fast and small under libtorch's load of large aligned blocks that come and go every step. Left alone, glibc hands
/// most of them back to the system at once, and a third of a small model's step goes into the page faults of getting them again; kept in
/// the heap, they fragment it (before glibc 2.38 a freed aligned block is not found again), and a process grows for ever. So: keep them, and
/// return what is free whenever the process has grown by a quarter.
/// </summary>
static partial class NativeHeap
{
    const long Slack = 192 << 20;

    static bool active;
    static long baseline;

    /// <summary>To be called before libtorch allocates. Does nothing where the caller has set glibc's own variables, or without glibc.</summary>
    public static void Configure()
    {
        const int TrimThreshold = -1, TopPad = -2, MmapThreshold = -3, ArenaMax = -8;
        if (Environment.GetEnvironmentVariables().Keys.Cast<string>().Any(k => k.StartsWith("MALLOC_", StringComparison.Ordinal) || k == "GLIBC_TUNABLES")) return;
        try
        {
            // The largest threshold glibc accepts; a fixed one also stops it from adapting by itself.
            active = MallOpt(MmapThreshold, 32 << 20) == 1;
            _ = MallOpt(TrimThreshold, int.MaxValue);
            _ = MallOpt(TopPad, 16 << 20);
            // Training runs on one thread; other arenas would be smaller heaps with limits of their own.
            _ = MallOpt(ArenaMax, 1);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // Another C library: its allocator does not have these faults.
        }
    }

    /// <summary>Gives free memory back when the process has grown noticeably; costs microseconds otherwise. Called once per step.</summary>
    public static void TrimWhenGrown()
    {
        if (!active) return;
        var resident = Resident();
        if (baseline != 0 && resident < baseline + Math.Max(baseline / 4, Slack)) return;
        // The first call sets the mark: the first step has touched what every step needs.
        if (baseline != 0) _ = MallocTrim(0);
        baseline = Math.Max(baseline, Resident());
    }

    static long Resident()
    {
        Span<byte> text = stackalloc byte[128];
        using var file = File.OpenHandle("/proc/self/statm");
        var fields = text[..RandomAccess.Read(file, text, 0)];
        var second = fields[(fields.IndexOf((byte)' ') + 1)..];
        return long.Parse(second[..second.IndexOf((byte)' ')], NumberStyles.None, CultureInfo.InvariantCulture) * Environment.SystemPageSize;
    }

    [LibraryImport("libc.so.6", EntryPoint = "mallopt")]
    private static partial int MallOpt(int parameter, int value);

    [LibraryImport("libc.so.6", EntryPoint = "malloc_trim")]
    private static partial int MallocTrim(nuint pad);
}
