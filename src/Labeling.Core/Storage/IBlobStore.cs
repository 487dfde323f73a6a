namespace Labeling.Core.Storage;

/// <summary>A stored file: its name is the SHA-256 of its bytes, in lower-case hexadecimal.</summary>
public sealed record Blob(string Sha256, long Bytes);

/// <summary>
/// Files by content: dataset files and model files. What is stored never changes, so the hash in the database proves the bytes.
/// Every failure is a <see cref="BlobStoreException"/> that says what to do.
/// </summary>
public interface IBlobStore
{
    /// <summary>Stores everything the stream still holds. The blob exists completely or not at all.</summary>
    /// <param name="expectedSha256">When given, other bytes than these are refused.</param>
    Task<Blob> PutAsync(Stream content, string? expectedSha256 = null, CancellationToken cancel = default);

    /// <summary>The receiver disposes the stream.</summary>
    Task<Stream> OpenReadAsync(string sha256, CancellationToken cancel = default);

    Task<bool> ExistsAsync(string sha256, CancellationToken cancel = default);

    /// <summary>Makes the blob available as a file at this path, replacing what is there, after checking its bytes against the hash. The file must not be written to.</summary>
    Task MaterialiseAsync(string sha256, string path, CancellationToken cancel = default);
}

/// <summary>A blob could not be stored or read. The message names the blob or folder and what to do.</summary>
public sealed class BlobStoreException(string message, Exception? inner = null) : IOException(message, inner);

public static class BlobStoreExtensions
{
    public static async Task<Blob> PutFileAsync(this IBlobStore store, string path, CancellationToken cancel = default)
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, FileOptions.Asynchronous | FileOptions.SequentialScan);
        return await store.PutAsync(file, null, cancel);
    }
}
