using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Labeling.AppHost.Supervision;

/// <summary>The few calls of Unix that .NET does not offer.</summary>
[UnsupportedOSPlatform("windows")]
internal static partial class Unix
{
    public const int SigInt = 2, SigQuit = 3, SigKill = 9, SigTerm = 15;

    private const int EPerm = 1;

    /// <summary>Sends a signal; false when there is no such process.</summary>
    public static bool Signal(int processId, int signal) => kill(processId, signal) == 0;

    /// <summary>Whether a process of this id exists, whoever owns it.</summary>
    public static bool IsAlive(int processId) => kill(processId, 0) == 0 || Marshal.GetLastPInvokeError() == EPerm;

    public static void ChangeOwner(string path, ServerAccount account)
    {
        if (chown(path, account.UserId, account.GroupId) != 0)
            throw new HostException($"Cannot give {path} to the account {account.Name}: {Marshal.GetLastPInvokeErrorMessage()}.");
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int kill(int pid, int sig);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int chown(string path, int owner, int group);
}
