using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Labeling.Core.Features;

/// <summary>256 random bits for a link or an API key. Being random they need no slow hash: SHA-256 cannot be turned back or guessed.</summary>
internal static class Secret
{
    public static string New() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    public static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}
