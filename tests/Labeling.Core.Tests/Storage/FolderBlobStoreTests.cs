using System.Security.Cryptography;
using System.Text;
using Labeling.Core.Storage;

namespace Labeling.Core.Tests.Storage;

public sealed class FolderBlobStoreTests : IDisposable
{
    // FIPS 180-2, appendix B.1
    private const string Sha256OfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    private readonly string _folder = Directory.CreateTempSubdirectory("labeling-blobs-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string BlobPath(string sha256) => Path.Combine(_folder, "blobs", sha256[..2], sha256[2..]);

    private static MemoryStream Abc() => new("abc"u8.ToArray());

    [Fact]
    public async Task A_blob_is_named_by_the_hash_of_its_bytes()
    {
        var store = new FolderBlobStore(_folder);

        var blob = await store.PutAsync(Abc());

        Assert.Equal(new Blob(Sha256OfAbc, 3), blob);
        Assert.Equal("abc", await File.ReadAllTextAsync(BlobPath(Sha256OfAbc)));
        Assert.True(await store.ExistsAsync(Sha256OfAbc));
        await using var read = await store.OpenReadAsync(Sha256OfAbc);
        Assert.Equal("abc", await new StreamReader(read).ReadToEndAsync());
    }

    [Fact]
    public async Task The_same_bytes_stored_from_many_sides_at_once_are_one_blob()
    {
        var store = new FolderBlobStore(_folder);
        var bytes = new byte[3_000_000];
        new Random(7).NextBytes(bytes);

        var blobs = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => store.PutAsync(new MemoryStream(bytes)))));

        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes)), Assert.Single(blobs.Distinct()).Sha256);
        Assert.Single(Directory.EnumerateFiles(Path.Combine(_folder, "blobs"), "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task A_stream_that_breaks_leaves_nothing_behind()
    {
        var store = new FolderBlobStore(_folder);

        await Assert.ThrowsAsync<BlobStoreException>(() => store.PutAsync(new BreakingStream(200_000)));

        Assert.Empty(Directory.EnumerateFiles(Path.Combine(_folder, "blobs"), "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Other_bytes_than_expected_are_refused()
    {
        var store = new FolderBlobStore(_folder);

        var error = await Assert.ThrowsAsync<BlobStoreException>(() => store.PutAsync(new MemoryStream("abd"u8.ToArray()), Sha256OfAbc));

        Assert.Contains(Sha256OfAbc, error.Message, StringComparison.Ordinal);
        Assert.False(await store.ExistsAsync(Sha256OfAbc));
    }

    [Fact]
    public async Task A_damaged_blob_is_noticed_and_storing_it_again_heals_it()
    {
        var store = new FolderBlobStore(_folder);
        await store.PutAsync(Abc());
        File.Delete(BlobPath(Sha256OfAbc));
        await File.WriteAllTextAsync(BlobPath(Sha256OfAbc), "abX");
        var target = Path.Combine(_folder, "run", "base", "model.bin");

        var error = await Assert.ThrowsAsync<BlobStoreException>(() => store.MaterialiseAsync(Sha256OfAbc, target));
        Assert.Contains("damaged", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(target));

        await store.PutAsync(Abc());
        await store.MaterialiseAsync(Sha256OfAbc, target);
        Assert.Equal("abc", await File.ReadAllTextAsync(target));
    }

    [Fact]
    public async Task Materialising_replaces_what_is_there_and_leaves_no_part_file()
    {
        var store = new FolderBlobStore(_folder);
        var blob = await store.PutAsync(Abc());
        var target = Path.Combine(_folder, "run", "file");
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        await File.WriteAllTextAsync(target, "old");

        await store.MaterialiseAsync(blob.Sha256, target);
        await store.MaterialiseAsync(blob.Sha256, target);

        Assert.Equal("abc", await File.ReadAllTextAsync(target));
        Assert.Equal([target], Directory.GetFiles(Path.GetDirectoryName(target)!));
    }

    [Fact]
    public async Task Materialising_across_file_systems_copies()
    {
        if (!Directory.Exists("/dev/shm"))
            Assert.Skip("Needs a second file system.");
        var elsewhere = Path.Combine("/dev/shm", Path.GetRandomFileName());
        try
        {
            var store = new FolderBlobStore(_folder);
            var blob = await store.PutAsync(Abc());
            await store.MaterialiseAsync(blob.Sha256, Path.Combine(elsewhere, "file"));
            Assert.Equal("abc", await File.ReadAllTextAsync(Path.Combine(elsewhere, "file")));
        }
        finally
        {
            if (Directory.Exists(elsewhere))
                Directory.Delete(elsewhere, recursive: true);
        }
    }

    [Theory]
    [InlineData("../../etc/passwd")]
    [InlineData("")]
    [InlineData("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD")]
    public async Task Only_a_hash_is_a_name(string name) =>
        await Assert.ThrowsAsync<ArgumentException>(() => new FolderBlobStore(_folder).OpenReadAsync(name));

    [Fact]
    public async Task A_missing_blob_names_the_folder_that_was_searched()
    {
        var error = await Assert.ThrowsAsync<BlobStoreException>(() => new FolderBlobStore(_folder).OpenReadAsync(Sha256OfAbc));
        Assert.Contains(_folder, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_disk_is_named_as_such()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("/dev/full is Linux's.");
        var full = Assert.Throws<IOException>(() =>
        {
            using var file = new FileStream("/dev/full", FileMode.Open, FileAccess.Write, FileShare.ReadWrite, 0);
            file.Write("x"u8);
        });
        var store = new FolderBlobStore(_folder);

        var error = await Assert.ThrowsAsync<BlobStoreException>(() => store.PutAsync(new BreakingStream(10, full)));

        Assert.Contains("is full", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_data_folder_that_cannot_be_made_is_named()
    {
        var file = Path.Combine(_folder, "file");
        File.WriteAllText(file, Encoding.UTF8.GetString("not a folder"u8));

        var error = Assert.Throws<BlobStoreException>(() => new FolderBlobStore(file));

        Assert.Contains(file, error.Message, StringComparison.Ordinal);
    }

    /// <summary>Gives some bytes, then fails as a cut connection or a full disk does.</summary>
    private sealed class BreakingStream(int after, IOException? error = null) : MemoryStream(new byte[after])
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            await base.ReadAsync(buffer, cancellationToken) is > 0 and var read ? read : throw error ?? new IOException("cut");
    }
}
