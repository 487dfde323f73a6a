using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Labeling.Worker;

/// <summary>Unix signals by name; System.Diagnostics.Process only knows SIGKILL.</summary>
internal static class Signals
{
    public const int Terminate = 15;

    public static int Stop => OperatingSystem.IsMacOS() ? 17 : 19;

    public static int Continue => OperatingSystem.IsMacOS() ? 19 : 18;

    /// <summary>False when the process is gone.</summary>
    public static bool Send(int processId, int signal) => Kill(processId, signal) == 0;

    public static bool IsAlive(int processId)
    {
        if (!OperatingSystem.IsWindows()) return Send(processId, 0);
        try
        {
            using var process = Process.GetProcessById(processId);
            return !process.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    /// <summary>How a child ended: .NET reports a signal as 128 plus its number.</summary>
    public static string Describe(int exitCode) => exitCode switch
    {
        128 + 4 => "was ended by SIGILL: its native library does not fit this processor",
        128 + 6 => "aborted (SIGABRT)",
        128 + 7 => "was ended by SIGBUS",
        128 + 8 => "was ended by SIGFPE",
        128 + 9 => "was ended by SIGKILL; the system may have run out of memory",
        128 + 11 => "crashed (SIGSEGV)",
        128 + 15 => "was ended by SIGTERM",
        _ => $"ended with exit code {exitCode}",
    };

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static extern int Kill(int pid, int signal);
}
