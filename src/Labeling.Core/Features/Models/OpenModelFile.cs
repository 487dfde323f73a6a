using Labeling.Core.Data;
using Labeling.Core.Features.Datasets;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Core.Storage;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Models;

[Allow(Roles.Admin)]
public sealed record OpenModelFile(Actor Actor, Guid Id, string Path) : IQuery<DownloadFile>;

internal sealed class OpenModelFileHandler(LabelingDbContext db, IBlobStore blobs) : IHandler<OpenModelFile, DownloadFile>
{
    public async ValueTask<Result<DownloadFile>> Handle(OpenModelFile request, CancellationToken cancellationToken)
    {
        // The path is looked up, never opened.
        var sha256 = await db.ModelFiles.Where(file => file.ModelId == request.Id && file.Path == request.Path).Select(file => file.Sha256).SingleOrDefaultAsync(cancellationToken);
        if (sha256 is null) return Problem.NotFound("The file");
        return new DownloadFile(Path.GetFileName(request.Path), await blobs.OpenReadAsync(sha256, cancellationToken));
    }
}
