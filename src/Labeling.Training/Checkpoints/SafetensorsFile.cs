using System.Buffers.Binary;
using System.Text.Json;
using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Checkpoints;

/// <summary>One tensor's entry in a safetensors header.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Sizes of its dimensions; empty for a scalar.</param>
/// <param name="Offset">First byte, counted from the start of the file.</param>
/// <param name="Length">Number of bytes.</param>
public sealed record SafetensorsEntry(string Name, ScalarType Type, IReadOnlyList<long> Shape, long Offset, long Length);

/// <summary>A safetensors file that cannot be read or does not hold what is asked of it; the message names the file and the tensor.</summary>
public sealed class SafetensorsException(string message) : Exception(message);

/// <summary>
/// Reads a safetensors file (8-byte little-endian header length, JSON header, tensor data), straight into the memory of the tensors: a memory
/// map would count the file a second time, and end the process when someone shortens the file meanwhile. The file is treated as hostile: sizes, offsets, types, overlaps, gaps and duplicate names are checked before any tensor is made.
/// </summary>
public sealed unsafe class SafetensorsFile : IDisposable
{
    /// <summary>Largest header the format's reference implementation accepts.</summary>
    public const long MaxHeaderLength = 100_000_000;

    static readonly Dictionary<string, ScalarType> Types = new(StringComparer.Ordinal)
    {
        ["BOOL"] = ScalarType.Bool,
        ["U8"] = ScalarType.Byte,
        ["I8"] = ScalarType.Int8,
        ["I16"] = ScalarType.Int16,
        ["I32"] = ScalarType.Int32,
        ["I64"] = ScalarType.Int64,
        ["F16"] = ScalarType.Float16,
        ["BF16"] = ScalarType.BFloat16,
        ["F32"] = ScalarType.Float32,
        ["F64"] = ScalarType.Float64,
    };

    readonly FileStream stream;
    readonly Dictionary<string, SafetensorsEntry> entries;

    SafetensorsFile(string path, FileStream stream, Dictionary<string, SafetensorsEntry> entries, Dictionary<string, string> metadata) =>
        (Path, this.stream, this.entries, Metadata) = (path, stream, entries, metadata);

    /// <summary>Path the file was opened from.</summary>
    public string Path { get; }

    /// <summary>The header's <c>__metadata__</c>; empty when it has none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The tensors of the file by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Entries => entries;

    /// <summary>Opens a file and checks its header.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="SafetensorsException">The file is missing, is another format, or its header is damaged.</exception>
    public static SafetensorsFile Open(string path)
    {
        FileStream stream;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SafetensorsException($"{path}: cannot be opened: {e.Message}");
        }
        try
        {
            var length = stream.Length;
            var header = ReadHeader(path, stream, length, out var dataStart);
            var (entries, metadata) = Parse(path, header, dataStart, length);
            return new SafetensorsFile(path, stream, entries, metadata);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Copies a tensor's values into <paramref name="target"/>, converting between number types as needed.</summary>
    /// <param name="name">Name in the file.</param>
    /// <param name="target">A tensor of the same shape; it may require gradients.</param>
    /// <exception cref="SafetensorsException">No such tensor, or its shape differs.</exception>
    public void CopyTo(string name, Tensor target)
    {
        var entry = Entry(name);
        if (!entry.Shape.SequenceEqual(target.shape))
            throw new SafetensorsException($"{Path}: tensor {name} has shape [{string.Join(", ", entry.Shape)}], but [{string.Join(", ", target.shape)}] is needed.");
        using var noGrad = no_grad();
        if (target.dtype == entry.Type && target.device_type == DeviceType.CPU && target.is_contiguous())
        {
            CopyBytes(entry, target);
            BFloat16Weight.Changed(target);
            return;
        }
        using var read = Read(name);
        target.copy_(read);
    }

    /// <summary>Reads a tensor into new memory, in the type it is stored in, without gradient.</summary>
    /// <param name="name">Name in the file.</param>
    /// <exception cref="SafetensorsException">No such tensor.</exception>
    public Tensor Read(string name)
    {
        var entry = Entry(name);
        var tensor = empty([.. entry.Shape], entry.Type, CPU);
        CopyBytes(entry, tensor);
        return tensor;
    }

    /// <inheritdoc/>
    public void Dispose() => stream.Dispose();

    SafetensorsEntry Entry(string name) => entries.TryGetValue(name, out var entry)
        ? entry
        : throw new SafetensorsException($"{Path}: holds no tensor {name}.");

    void CopyBytes(SafetensorsEntry entry, Tensor target)
    {
        const int Piece = 4 << 20;
        var memory = TensorMemory.Pointer(target);
        Workers.Run((int)((entry.Length + Piece - 1) / Piece), piece =>
        {
            var offset = (long)piece * Piece;
            var rest = new Span<byte>(memory + offset, (int)Math.Min(Piece, entry.Length - offset));
            while (!rest.IsEmpty)
            {
                var read = RandomAccess.Read(stream.SafeFileHandle, rest, entry.Offset + offset);
                if (read == 0) throw new SafetensorsException($"{Path}: the file ends inside tensor {entry.Name}; it was shortened while it was read.");
                offset += read;
                rest = rest[read..];
            }
        });
    }

    static byte[] ReadHeader(string path, FileStream stream, long fileLength, out long dataStart)
    {
        Span<byte> prefix = stackalloc byte[8];
        var got = stream.ReadAtLeast(prefix, 8, throwOnEndOfStream: false);
        if (got >= 4 && (prefix[..2].SequenceEqual("PK"u8) || (prefix[0] == 0x80 && prefix[1] is >= 2 and <= 5)))
            throw new SafetensorsException($"{path}: this is a PyTorch pickle file, which can run code when opened. Convert it in Python with safetensors.torch.save_file(torch.load(path, weights_only=True), \"model.safetensors\").");
        if (got < 8) throw new SafetensorsException($"{path}: {fileLength} bytes are too few for a safetensors file.");
        var length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaxHeaderLength || (long)length > fileLength - 8)
            throw new SafetensorsException($"{path}: the header claims {length} bytes, but the file has {fileLength}; it is truncated or not a safetensors file.");
        var header = new byte[length];
        stream.ReadExactly(header);
        dataStart = 8 + (long)length;
        return header;
    }

    static (Dictionary<string, SafetensorsEntry>, Dictionary<string, string>) Parse(string path, byte[] header, long dataStart, long fileLength)
    {
        var entries = new Dictionary<string, SafetensorsEntry>(StringComparer.Ordinal);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            using var document = JsonDocument.Parse(header, new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = 8 });
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw new SafetensorsException($"{path}: the header is not a JSON object.");
            foreach (var property in document.RootElement.EnumerateObject())
            {
                if (property.Name == "__metadata__")
                    foreach (var item in property.Value.EnumerateObject()) metadata.Add(item.Name, item.Value.GetString() ?? "");
                else
                    entries.Add(property.Name, ParseEntry(path, property, dataStart, fileLength));
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new SafetensorsException($"{path}: the header is damaged: {e.Message}");
        }
        var position = dataStart;
        foreach (var entry in entries.Values.OrderBy(e => e.Offset).ThenBy(e => e.Length))
        {
            if (entry.Offset != position)
                throw new SafetensorsException($"{path}: tensor {entry.Name} starts at data byte {entry.Offset - dataStart}, but the one before it ends at {position - dataStart}; tensors must neither overlap nor leave gaps.");
            position += entry.Length;
        }
        if (position != fileLength) throw new SafetensorsException($"{path}: the tensors end at byte {position}, the file at {fileLength}.");
        return (entries, metadata);
    }

    static SafetensorsEntry ParseEntry(string path, JsonProperty property, long dataStart, long fileLength)
    {
        var name = property.Name;
        SafetensorsException Wrong(string what) => new($"{path}: tensor {name}: {what}.");
        if (property.Value.ValueKind != JsonValueKind.Object) throw Wrong("its entry is not a JSON object");
        if (!property.Value.TryGetProperty("dtype", out var typeName) || typeName.ValueKind != JsonValueKind.String) throw Wrong("dtype is missing");
        if (!Types.TryGetValue(typeName.GetString()!, out var type)) throw Wrong($"dtype {typeName.GetString()} is not one of {string.Join(", ", Types.Keys)}");
        if (!property.Value.TryGetProperty("shape", out var shapeArray) || shapeArray.ValueKind != JsonValueKind.Array) throw Wrong("shape is missing");
        if (!property.Value.TryGetProperty("data_offsets", out var offsets) || offsets.ValueKind != JsonValueKind.Array || offsets.GetArrayLength() != 2) throw Wrong("data_offsets is not a pair");
        if (shapeArray.GetArrayLength() > 16) throw Wrong($"{shapeArray.GetArrayLength()} dimensions are more than 16");

        var shape = new long[shapeArray.GetArrayLength()];
        var elements = 1L;
        for (var i = 0; i < shape.Length; i++)
        {
            if (!shapeArray[i].TryGetInt64(out shape[i]) || shape[i] < 0) throw Wrong($"size {shapeArray[i]} of dimension {i} is not a whole number of 0 or more");
            if (shape[i] != 0 && elements > long.MaxValue / 16 / shape[i]) throw Wrong("its number of elements overflows");
            elements *= shape[i];
        }
        if (!offsets[0].TryGetInt64(out var from) || !offsets[1].TryGetInt64(out var to) || from < 0 || to < from || to > fileLength - dataStart)
            throw Wrong($"data_offsets [{offsets[0]}, {offsets[1]}] lie outside the data of {fileLength - dataStart} bytes");
        if (to - from != elements * Size(type)) throw Wrong($"{elements} elements of {typeName.GetString()} need {elements * Size(type)} bytes, but data_offsets give {to - from}");
        return new SafetensorsEntry(name, type, shape, dataStart + from, to - from);
    }

    /// <summary>Writes tensors to a file, in the given order, with <c>format: pt</c>, and flushes it to the disk.</summary>
    /// <param name="path">The file; an existing one is replaced.</param>
    /// <param name="tensors">Names and tensors; a tensor may be on any device and need not be contiguous.</param>
    /// <param name="type">Number type for floating-point tensors; null keeps each tensor's own.</param>
    /// <param name="metadata">More entries for <c>__metadata__</c>.</param>
    public static void Write(string path, IEnumerable<KeyValuePair<string, Tensor>> tensors, ScalarType? type = null, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var list = tensors.Select(t => (Name: t.Key, Tensor: t.Value, Type: type is { } wanted && t.Value.is_floating_point() ? wanted : t.Value.dtype)).ToList();
        var header = Header(list.Select(t => (t.Name, t.Type, t.Tensor.shape)), metadata);
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        file.Write(length);
        file.Write(header);
        foreach (var (_, tensor, elementType) in list)
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            var plain = tensor.detach().to(elementType).cpu().contiguous();
            var bytes = TensorMemory.Pointer(plain);
            for (long left = plain.NumberOfElements * Size(elementType), done = 0; left > 0;)
            {
                var chunk = (int)Math.Min(left, 1 << 26);
                file.Write(new ReadOnlySpan<byte>(bytes + done, chunk));
                done += chunk;
                left -= chunk;
            }
        }
        file.Flush(flushToDisk: true);
    }

    static byte[] Header(IEnumerable<(string Name, ScalarType Type, long[] Shape)> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        var names = Types.ToDictionary(t => t.Value, t => t.Key);
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            json.WriteString("format", "pt");
            foreach (var (key, value) in metadata ?? new Dictionary<string, string>())
                if (key != "format") json.WriteString(key, value);
            json.WriteEndObject();
            var offset = 0L;
            foreach (var (name, type, shape) in tensors)
            {
                if (!names.TryGetValue(type, out var typeName)) throw new SafetensorsException($"tensor {name}: {type} cannot be stored.");
                json.WriteStartObject(name);
                json.WriteString("dtype", typeName);
                json.WriteStartArray("shape");
                foreach (var size in shape) json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += shape.Aggregate(1L, (a, b) => a * b) * Size(type));
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        // Readers map the file: tensors begin at a multiple of 8.
        while (buffer.Length % 8 != 0) buffer.WriteByte((byte)' ');
        return buffer.ToArray();
    }

    static int Size(ScalarType type) => type switch
    {
        ScalarType.Bool or ScalarType.Byte or ScalarType.Int8 => 1,
        ScalarType.Int16 or ScalarType.Float16 or ScalarType.BFloat16 => 2,
        ScalarType.Int32 or ScalarType.Float32 => 4,
        _ => 8,
    };
}
