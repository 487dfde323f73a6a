using System.Text;
using System.Text.Json;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Core.Storage;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Datasets;

/// <summary>The bytes of one split for download, as frozen. <paramref name="Pairs"/> expands rankings to TRL's prompt/chosen/rejected, ties left out.</summary>
[Allow(Roles.Admin)]
public sealed record OpenDatasetFile(Actor Actor, Guid Id, Split Split, bool Pairs = false) : IQuery<DownloadFile>;

/// <summary>The receiver disposes the stream.</summary>
public sealed record DownloadFile(string FileName, Stream Content);

internal sealed class OpenDatasetFileHandler(LabelingDbContext db, IBlobStore blobs) : IHandler<OpenDatasetFile, DownloadFile>
{
    public async ValueTask<Result<DownloadFile>> Handle(OpenDatasetFile request, CancellationToken cancellationToken)
    {
        var found = await db.DatasetVersions.AsNoTracking().Where(dataset => dataset.Id == request.Id)
            .Select(dataset => new { dataset.Name, dataset.Number, dataset.Kind, File = dataset.Files.SingleOrDefault(file => file.Split == request.Split) })
            .SingleOrDefaultAsync(cancellationToken);
        if (found is null) return Problem.NotFound("The dataset");
        var split = request.Split.ToString().ToLowerInvariant();
        if (found.File is null) return Problem.NotFound($"The split {split} of this dataset");
        if (request.Pairs && found.Kind != DatasetKind.Rankings) return Problem.Invalid("pairs", "Only rankings can be expanded into pairs.");

        var name = $"{SafeName(found.Name)}-v{found.Number}-{split}{(request.Pairs ? "-pairs" : "")}.jsonl";
        var content = await blobs.OpenReadAsync(found.File.Sha256, cancellationToken);
        return new DownloadFile(name, request.Pairs ? await PairsAsync(content, cancellationToken) : content);
    }

    private static async Task<Stream> PairsAsync(Stream rankings, CancellationToken cancel)
    {
        var pairs = DatasetFiles.Temporary();
        try
        {
            using var reader = new StreamReader(rankings, Encoding.UTF8);
            while (await reader.ReadLineAsync(cancel) is { } line)
            {
                using var row = JsonDocument.Parse(line);
                DatasetRows.WritePairs(pairs, row.RootElement);
            }
            await pairs.FlushAsync(cancel);
            pairs.Position = 0;
            return pairs;
        }
        catch
        {
            await pairs.DisposeAsync();
            throw;
        }
    }

    private static string SafeName(string name)
    {
        var safe = string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) ? char.ToLowerInvariant(c) : '-')).Trim('-');
        return safe.Length == 0 ? "dataset" : safe;
    }
}
