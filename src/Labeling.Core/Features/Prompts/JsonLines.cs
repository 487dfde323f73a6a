using System.Buffers;
using System.Runtime.CompilerServices;

namespace Labeling.Core.Features.Prompts;

/// <summary>One line of an upload. <see cref="Bytes"/> is valid until the next line is asked for, and empty when the line was too long to be kept.</summary>
internal readonly record struct RawLine(int Number, ReadOnlyMemory<byte> Bytes, bool TooLong);

internal static class JsonLines
{
    /// <summary>The lines of a stream, numbered from 1, in memory that does not grow with the file or with a line that never ends.</summary>
    public static async IAsyncEnumerable<RawLine> ReadAsync(Stream stream, int maxBytes, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var chunk = new byte[64 * 1024];
        var line = new ArrayBufferWriter<byte>();
        var number = 1;
        var tooLong = false;
        int read;
        while ((read = await stream.ReadAsync(chunk, cancellation)) > 0)
        {
            var start = 0;
            while (start <= read)
            {
                var newline = chunk.AsSpan(start, read - start).IndexOf((byte)'\n');
                var end = newline < 0 ? read : start + newline;
                tooLong |= line.WrittenCount + end - start > maxBytes;
                if (tooLong) line.Clear();
                else line.Write(chunk.AsSpan(start, end - start));
                if (newline < 0) break;
                yield return Line(number, line, tooLong);
                line.Clear();
                (number, tooLong, start) = (number + 1, false, end + 1);
            }
        }

        if (line.WrittenCount > 0 || tooLong) yield return Line(number, line, tooLong);
    }

    private static RawLine Line(int number, ArrayBufferWriter<byte> line, bool tooLong)
    {
        var bytes = line.WrittenMemory;
        if (number == 1 && bytes.Span.StartsWith("\uFEFF"u8)) bytes = bytes[3..];
        return new RawLine(number, bytes, tooLong);
    }
}
