using System.Globalization;

namespace Labeling.Training.Native;

/// <summary>The processor's caches, as Linux tells them.</summary>
static class ProcessorCache
{
    const long Usual = 32 << 20;

    /// <summary>Bytes of the largest one; 32 MB where the system does not say.</summary>
    public static long Largest { get; } = Find("/sys/devices/system/cpu/cpu0/cache");

    internal static long Find(string folder)
    {
        try
        {
            return Directory.EnumerateDirectories(folder, "index*").Select(index => Bytes(File.ReadAllText(Path.Combine(index, "size")))).DefaultIfEmpty(Usual).Max();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            return Usual;
        }
    }

    /// <summary>Of a size such as 2048K.</summary>
    static long Bytes(string size)
    {
        size = size.Trim();
        var unit = size.LastOrDefault() switch { 'K' => 10, 'M' => 20, 'G' => 30, _ => 0 };
        return long.Parse(unit == 0 ? size : size[..^1], NumberStyles.None, CultureInfo.InvariantCulture) << unit;
    }
}
