using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Labeling.Training.Native;

/// <summary>
/// Makes a private copy of TorchSharp's Linux library that loads on systems whose libstdc++ ends at GLIBCXX_3.4.30.
/// The library asks for 3.4.32 because of a single symbol, a no-op that GCC 13 added to announce static initialisation of
/// iostreams (older libstdc++ initialise by themselves). The copy points that symbol at a harmless function which is imported
/// anyway, and asks for 3.4.30 where it asked for 3.4.32.
/// </summary>
static partial class ElfMend
{
    public const string MissingVersion = "GLIBCXX_3.4.32";
    const string PresentVersion = "GLIBCXX_3.4.30";
    const string MissingSymbol = "_ZSt21ios_base_library_initv";
    const string HarmlessSymbol = "_ZNSt6chrono3_V212steady_clock3nowEv";

    /// <summary>Loads a mended copy of <paramref name="original"/> and returns its handle.</summary>
    public static nint Load(string original)
    {
        var mended = Mend(File.ReadAllBytes(original));
        // An anonymous file belongs to this process alone: nothing to clean up, to share or to race for.
        var descriptor = MemoryFile(Path.GetFileName(original), flags: 0);
        if (descriptor >= 0)
        {
            var path = $"/proc/self/fd/{descriptor}";
            File.WriteAllBytes(path, mended);
            // The descriptor stays open: the loader compares files by device and inode.
            if (NativeLibrary.TryLoad(path, out var handle)) return handle;
        }
        var folder = Directory.CreateTempSubdirectory("labeling-");
        try
        {
            var path = Path.Combine(folder.FullName, Path.GetFileName(original));
            File.WriteAllBytes(path, mended);
            return NativeLibrary.Load(path);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>The bytes of the library with the symbol and the version need replaced.</summary>
    /// <exception cref="InvalidDataException">The file is not the library this mend was made for.</exception>
    public static byte[] Mend(ReadOnlySpan<byte> library)
    {
        var file = library.ToArray();
        if (file.Length < 64 || !file.AsSpan(0, 6).SequenceEqual(new byte[] { 0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1 }))
            throw new InvalidDataException("not a 64-bit little-endian ELF file");
        var dynamicStrings = Section(file, ".dynstr");
        var symbols = Section(file, ".dynsym");
        var versions = Section(file, ".gnu.version");
        var needs = Section(file, ".gnu.version_r");

        RedirectSymbol(file, symbols, versions, dynamicStrings);
        ReplaceVersionNeed(file, needs, dynamicStrings);
        return file;
    }

    static void RedirectSymbol(byte[] file, Range symbols, Range versions, Range names)
    {
        const int EntrySize = 24;
        int missing = -1, harmless = -1;
        var table = file.AsSpan(symbols);
        for (var i = 0; i < table.Length / EntrySize; i++)
        {
            var name = Text(file, names, ReadUInt32(table, i * EntrySize));
            if (name == MissingSymbol) missing = i;
            if (name == HarmlessSymbol) harmless = i;
        }
        if (missing < 0 || harmless < 0) throw new InvalidDataException($"symbol {(missing < 0 ? MissingSymbol : HarmlessSymbol)} is not imported");
        table.Slice(harmless * EntrySize, 4).CopyTo(table.Slice(missing * EntrySize, 4));
        var versionTable = file.AsSpan(versions);
        versionTable.Slice(harmless * 2, 2).CopyTo(versionTable.Slice(missing * 2, 2));
    }

    static void ReplaceVersionNeed(byte[] file, Range needs, Range names)
    {
        var section = file.AsSpan(needs);
        int missing = -1, present = -1;
        for (var need = 0; ;)
        {
            var count = BinaryPrimitives.ReadUInt16LittleEndian(section.Slice(need + 2, 2));
            var auxiliary = need + (int)ReadUInt32(section, need + 8);
            for (var i = 0; i < count; i++)
            {
                var name = Text(file, names, ReadUInt32(section, auxiliary + 8));
                if (name == MissingVersion) missing = auxiliary;
                if (name == PresentVersion) present = auxiliary;
                auxiliary += (int)ReadUInt32(section, auxiliary + 12);
            }
            var next = (int)ReadUInt32(section, need + 12);
            if (next == 0) break;
            need += next;
        }
        if (missing < 0 || present < 0) throw new InvalidDataException($"version {(missing < 0 ? MissingVersion : PresentVersion)} is not needed");
        // Entry: hash, flags, index, name, next. The index stays: symbols refer to it.
        section.Slice(present, 4).CopyTo(section.Slice(missing, 4));
        section.Slice(present + 8, 4).CopyTo(section.Slice(missing + 8, 4));
    }

    static Range Section(byte[] file, string wanted)
    {
        var headers = (int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(40));
        var size = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(58));
        var count = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(60));
        var namesIndex = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(62));
        Range Bytes(int index)
        {
            var header = file.AsSpan(headers + index * size, size);
            var start = (int)BinaryPrimitives.ReadUInt64LittleEndian(header[24..]);
            return start..(start + (int)BinaryPrimitives.ReadUInt64LittleEndian(header[32..]));
        }
        try
        {
            var names = Bytes(namesIndex);
            for (var i = 0; i < count; i++)
                if (Text(file, names, ReadUInt32(file, headers + i * size)) == wanted) return Bytes(i);
        }
        catch (ArgumentOutOfRangeException)
        {
            throw new InvalidDataException("the ELF section table is damaged");
        }
        throw new InvalidDataException($"no section {wanted}");
    }

    static string Text(byte[] file, Range strings, uint offset)
    {
        var bytes = file.AsSpan(strings)[(int)offset..];
        return Encoding.ASCII.GetString(bytes[..bytes.IndexOf((byte)0)]);
    }

    static uint ReadUInt32(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);

    [LibraryImport("libc.so.6", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MemoryFile(string name, uint flags);
}
