using System.Runtime.InteropServices;

namespace Labeling.Core.Storage;

/// <summary>What System.IO does not offer: hard links, and flushing a folder so that a rename survives a power cut.</summary>
public static class Disk
{
    private const int ErrorDiskFullWindows = unchecked((int)0x80070070);
    private const int ENOSPC = 28;
    private const int EDQUOT = 122;

    public static bool IsFull(Exception error) =>
        error is IOException && (OperatingSystem.IsWindows() ? error.HResult == ErrorDiskFullWindows : error.HResult is ENOSPC or EDQUOT);

    /// <summary>False when the file system cannot, e.g. across two disks.</summary>
    public static bool TryHardLink(string existing, string link) =>
        OperatingSystem.IsWindows() ? CreateHardLink(link, existing, 0) : Link(existing, link) == 0;

    /// <summary>Windows keeps folder entries in its own journal, there this does nothing.</summary>
    public static void FlushFolder(string folder)
    {
        if (OperatingSystem.IsWindows())
            return;
        var descriptor = Open(folder, 0);
        if (descriptor < 0)
            throw new IOException($"Could not open the folder {folder}: {Marshal.GetLastPInvokeErrorMessage()}", Marshal.GetLastPInvokeError());
        try
        {
            // Some network file systems cannot flush a folder and say EINVAL; their rename is as durable as it gets.
            const int invalid = 22;
            if (Fsync(descriptor) != 0 && Marshal.GetLastPInvokeError() is var error && error != invalid)
                throw new IOException($"Could not flush the folder {folder}: {Marshal.GetPInvokeErrorMessage(error)}", error);
        }
        finally
        {
            _ = Close(descriptor);
        }
    }

    [DllImport("libc", EntryPoint = "link", SetLastError = true)]
    private static extern int Link([MarshalAs(UnmanagedType.LPUTF8Str)] string existing, [MarshalAs(UnmanagedType.LPUTF8Str)] string link);

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static extern int Fsync(int descriptor);

    [DllImport("libc", EntryPoint = "close")]
    private static extern int Close(int descriptor);

    [DllImport("kernel32", EntryPoint = "CreateHardLinkW", CharSet = CharSet.Unicode, SetLastError = true)]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static extern bool CreateHardLink(string link, string existing, nint security);
}
