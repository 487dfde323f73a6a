using Labeling.Core.Model;
using Labeling.Core.Storage;

namespace Labeling.Core.Features.Datasets;

/// <summary>The files of a dataset while it is written: one per split, on the disk and gone when disposed, then stored by their hash.</summary>
internal sealed class DatasetFiles : IAsyncDisposable
{
    private readonly SortedDictionary<Split, (FileStream File, int Rows)> _files = [];

    public int Rows => _files.Values.Sum(file => file.Rows);

    public static FileStream Temporary() => new(
        Path.Combine(Path.GetTempPath(), $"labeling-{Guid.NewGuid():n}.jsonl"), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16,
        FileOptions.Asynchronous | FileOptions.DeleteOnClose);

    /// <summary>Writes one row and answers its place in the split's file.</summary>
    public int Add(Split split, Action<Stream> write)
    {
        var (file, rows) = _files.TryGetValue(split, out var found) ? found : (Temporary(), 0);
        write(file);
        _files[split] = (file, rows + 1);
        return rows;
    }

    public async Task<List<DatasetFile>> StoreAsync(IBlobStore blobs, Guid datasetId, CancellationToken cancel)
    {
        var stored = new List<DatasetFile>();
        foreach (var (split, (file, rows)) in _files)
        {
            await file.FlushAsync(cancel);
            file.Position = 0;
            var blob = await blobs.PutAsync(file, null, cancel);
            stored.Add(new() { DatasetVersionId = datasetId, Split = split, Rows = rows, Bytes = blob.Bytes, Sha256 = blob.Sha256 });
        }
        return stored;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (file, _) in _files.Values)
            await file.DisposeAsync();
    }
}
