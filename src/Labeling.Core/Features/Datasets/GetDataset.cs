using System.Text;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Core.Storage;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Datasets;

[Allow(Roles.Admin)]
public sealed record GetDataset(Actor Actor, Guid Id) : IQuery<DatasetDetails>;

/// <param name="Preview">The first rows as stored.</param>
public sealed record DatasetDetails(
    DatasetItemView Dataset, string Filter, IReadOnlyList<LabelerShare> Labelers, IReadOnlyList<DatasetUse> Runs, IReadOnlyList<string> Preview);

public sealed record LabelerShare(Guid Id, string DisplayName, int Rows);

public sealed record DatasetUse(Guid RunId, string Name, RunStage Stage, RunState State);

internal sealed class GetDatasetHandler(LabelingDbContext db, IBlobStore blobs) : IHandler<GetDataset, DatasetDetails>
{
    private const int PreviewRows = 5;

    public async ValueTask<Result<DatasetDetails>> Handle(GetDataset request, CancellationToken cancellationToken)
    {
        var one = db.DatasetVersions.AsNoTracking().Where(dataset => dataset.Id == request.Id);
        if (await DatasetViews.Of(db, one).SingleOrDefaultAsync(cancellationToken) is not { } view) return Problem.NotFound("The dataset");
        var filter = await one.Select(dataset => dataset.Filter).SingleAsync(cancellationToken);
        var labelers = await db.DatasetItems.Where(item => item.DatasetVersionId == request.Id)
            .Join(db.Users, item => item.LabelerId, user => user.Id, (item, user) => new { user.Id, user.DisplayName })
            .GroupBy(user => new { user.Id, user.DisplayName })
            .OrderByDescending(labeler => labeler.Count()).ThenBy(labeler => labeler.Key.Id)
            .Select(labeler => new LabelerShare(labeler.Key.Id, labeler.Key.DisplayName, labeler.Count()))
            .ToListAsync(cancellationToken);
        var runs = await db.TrainingRuns.Where(run => run.DatasetVersionId == request.Id).OrderByDescending(run => run.CreatedAt)
            .Select(run => new DatasetUse(run.Id, run.Name, run.Stage, run.State)).ToListAsync(cancellationToken);
        return new DatasetDetails(view, filter, labelers, runs, await PreviewAsync(view.Files, cancellationToken));
    }

    private async Task<List<string>> PreviewAsync(IReadOnlyList<DatasetFileView> files, CancellationToken cancel)
    {
        var rows = new List<string>();
        foreach (var file in files)
        {
            using var reader = new StreamReader(await blobs.OpenReadAsync(file.Sha256, cancel), Encoding.UTF8);
            while (rows.Count < PreviewRows && await reader.ReadLineAsync(cancel) is { } line)
                rows.Add(line);
        }
        return rows;
    }
}
