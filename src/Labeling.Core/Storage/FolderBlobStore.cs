using System.Buffers;
using System.Security.Cryptography;

namespace Labeling.Core.Storage;

/// <summary>
/// Blobs in a folder: blobs/ab/cdef... under the data folder. A blob is written to blobs/tmp, flushed to the disk and renamed, so that a
/// power cut leaves either the whole file or none.
/// </summary>
public sealed class FolderBlobStore : IBlobStore
{
    private const int BufferSize = 1 << 17;
    private static readonly TimeSpan AbandonedAfter = TimeSpan.FromDays(1);

    private readonly string _root;
    private readonly string _temp;

    public FolderBlobStore(string dataFolder)
    {
        _root = Path.Combine(Path.GetFullPath(dataFolder), "blobs");
        _temp = Path.Combine(_root, "tmp");
        try
        {
            Directory.CreateDirectory(_temp);
            foreach (var left in Directory.EnumerateFiles(_temp).Where(file => File.GetLastWriteTimeUtc(file) < DateTime.UtcNow - AbandonedAfter))
                File.Delete(left);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw Explain(error);
        }
    }

    public async Task<Blob> PutAsync(Stream content, string? expectedSha256 = null, CancellationToken cancel = default)
    {
        var temp = Path.Combine(_temp, Guid.NewGuid().ToString("n"));
        try
        {
            var blob = await WriteAsync(content, temp, cancel);
            if (expectedSha256 is not null && expectedSha256 != blob.Sha256)
                throw new BlobStoreException($"The bytes have SHA-256 {blob.Sha256}, not the expected {expectedSha256}; they were changed or cut on the way. Send them again.");
            if (!OperatingSystem.IsWindows())
                File.SetUnixFileMode(temp, UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead);

            // Renaming over an existing blob costs nothing and heals one that rotted on the disk.
            var path = PathOf(blob.Sha256);
            var folder = Path.GetDirectoryName(path)!;
            Directory.CreateDirectory(folder);
            File.Move(temp, path, overwrite: true);
            Disk.FlushFolder(folder);
            Disk.FlushFolder(_root);
            return blob;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw Explain(error);
        }
        finally
        {
            TryDelete(temp);
        }
    }

    public Task<Stream> OpenReadAsync(string sha256, CancellationToken cancel = default) => Task.FromResult<Stream>(Open(sha256));

    public Task<bool> ExistsAsync(string sha256, CancellationToken cancel = default) => Task.FromResult(File.Exists(PathOf(sha256)));

    public async Task MaterialiseAsync(string sha256, string path, CancellationToken cancel = default)
    {
        await using (var source = Open(sha256))
        {
            var actual = Convert.ToHexStringLower(await SHA256.HashDataAsync(source, cancel));
            if (actual != sha256)
                throw new BlobStoreException($"The stored file {PathOf(sha256)} is damaged: its SHA-256 is {actual}. Restore it from a backup, or store the same file again.");
        }

        var part = path + ".part";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            File.Delete(part);
            if (!Disk.TryHardLink(PathOf(sha256), part))
                File.Copy(PathOf(sha256), part);
            // Deleted first: renaming one hard link of a file over another does nothing and would leave the part behind.
            File.Delete(path);
            File.Move(part, path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            TryDelete(part);
            throw Explain(error, path);
        }
    }

    private static async Task<Blob> WriteAsync(Stream content, string path, CancellationToken cancel)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            long bytes = 0;
            await using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0, FileOptions.Asynchronous);
            int read;
            while ((read = await content.ReadAsync(buffer.AsMemory(0, BufferSize), cancel)) > 0)
            {
                hash.AppendData(buffer, 0, read);
                await file.WriteAsync(buffer.AsMemory(0, read), cancel);
                bytes += read;
            }
            file.Flush(flushToDisk: true);
            if (file.Length != bytes)
                throw new BlobStoreException($"Only {file.Length} of {bytes} bytes reached {path}. Check the disk.");
            return new(Convert.ToHexStringLower(hash.GetHashAndReset()), bytes);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private FileStream Open(string sha256)
    {
        try
        {
            return new(PathOf(sha256), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, BufferSize, FileOptions.Asynchronous | FileOptions.SequentialScan);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BlobStoreException($"The file with SHA-256 {sha256} is not in {_root}. Is this the data folder it was stored in? Else restore it from a backup.", error);
        }
        catch (UnauthorizedAccessException error)
        {
            throw Explain(error);
        }
    }

    private string PathOf(string sha256)
    {
        // The hash becomes a path: nothing but 64 hexadecimal digits may get through.
        if (sha256.Length != 64 || !sha256.All(char.IsAsciiHexDigitLower))
            throw new ArgumentException($"\"{sha256}\" is not a SHA-256 in lower-case hexadecimal.", nameof(sha256));
        return Path.Combine(_root, sha256[..2], sha256[2..]);
    }

    private BlobStoreException Explain(Exception error, string? place = null) => error switch
    {
        BlobStoreException already => already,
        UnauthorizedAccessException => new($"This program may not write to {place ?? _root}. Give its account the right to, or set Labeling:DataFolder to another folder.", error),
        _ when Disk.IsFull(error) => new($"The disk that holds {place ?? _root} is full. Free some space and try again; nothing was stored.", error),
        _ => new($"Could not use {place ?? _root}: {error.Message}", error),
    };

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The next start deletes what is left in tmp; the first error is the one to report.
        }
    }
}
