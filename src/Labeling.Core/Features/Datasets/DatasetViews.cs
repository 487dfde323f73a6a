using Labeling.Core.Data;
using Labeling.Core.Model;

namespace Labeling.Core.Features.Datasets;

internal static class DatasetViews
{
    public static IQueryable<DatasetItemView> Of(LabelingDbContext db, IQueryable<DatasetVersion> datasets) => datasets.Select(dataset => new DatasetItemView(
        dataset.Id, dataset.Number, dataset.Name, dataset.Kind, dataset.RowCount, dataset.Sha256,
        // Train before valid before test, not by alphabet as the column would sort.
        dataset.Files.OrderBy(file => file.Split == Split.Train ? 0 : file.Split == Split.Valid ? 1 : 2)
            .Select(file => new DatasetFileView(file.Split, file.Rows, file.Bytes, file.Sha256)).ToList(),
        db.DatasetItems.Where(item => item.DatasetVersionId == dataset.Id && item.LabelerId != null).Select(item => item.LabelerId).Distinct().Count(),
        dataset.CreatedAt,
        db.Users.Where(user => user.Id == dataset.CreatedById).Select(user => user.DisplayName).FirstOrDefault()));
}
