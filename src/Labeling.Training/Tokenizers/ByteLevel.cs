using System.Text;

namespace Labeling.Training.Tokenizers;

/// <summary>
/// GPT-2's reversible table between the 256 byte values and 256 printable characters, so that a vocabulary of
/// arbitrary byte strings can be stored as readable JSON text.
/// </summary>
internal static class ByteLevel
{
    /// <summary>The printable stand-in of each byte.</summary>
    public static readonly char[] CharOfByte = BuildTable();

    private static readonly Dictionary<char, byte> ByteOfChar = CharOfByte.Select((c, b) => (c, b)).ToDictionary(x => x.c, x => (byte)x.b);

    public static string ToText(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        foreach (var b in bytes)
        {
            text.Append(CharOfByte[b]);
        }
        return text.ToString();
    }

    /// <summary>The bytes a token text stands for; null when a character is not one of the 256.</summary>
    public static byte[]? ToBytes(string tokenText)
    {
        var bytes = new byte[tokenText.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            if (!ByteOfChar.TryGetValue(tokenText[i], out bytes[i]))
            {
                return null;
            }
        }
        return bytes;
    }

    /// <summary>The bytes a token text stands for; text outside the 256 characters stands for itself.</summary>
    public static byte[] BytesOrUtf8(string tokenText) => ToBytes(tokenText) ?? Encoding.UTF8.GetBytes(tokenText);

    private static char[] BuildTable()
    {
        var table = new char[256];
        var next = 256;
        for (var b = 0; b < 256; b++)
        {
            var printable = b is >= '!' and <= '~' or >= 0xA1 and <= 0xAC or >= 0xAE;
            table[b] = (char)(printable ? b : next++);
        }
        return table;
    }
}
