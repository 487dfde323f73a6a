using System.Runtime.InteropServices;

namespace Labeling.Training.Cli;

/// <summary>
/// How libtorch's threads wait for each other. By default they spin, and on a machine that also runs a site, a database and other people's
/// work each spins away the time the other needs: a step took 5 to 9 times as long on two busy cores. Sleeping costs about a tenth
/// on an idle machine.
/// </summary>
internal static partial class ThreadWaiting
{
    /// <summary>Makes waiting threads sleep, unless the user's environment says otherwise. Must come before libtorch is loaded.</summary>
    public static void PreferSleeping()
    {
        if (!OperatingSystem.IsLinux() || Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is not null)
        {
            return;
        }
        try
        {
            // libgomp reads the C environment, which Environment.SetEnvironmentVariable does not reach.
            _ = SetEnvironment("GOMP_SPINCOUNT", "0", 0);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // Another C library: it keeps its own way of waiting.
        }
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);
}
