using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Core.Storage;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Models;

/// <summary>Brings in a Hugging Face folder from outside as a model without a run. The files are copied into the blob store.</summary>
[Allow(Roles.Admin, system: true)]
public sealed record RegisterModel(Actor Actor, Guid Id, Guid ProjectId, string Name, ModelKind Kind, string Folder, string? Description) : IRequest<Guid>;

internal sealed class RegisterModelValidator : AbstractValidator<RegisterModel>
{
    public RegisterModelValidator()
    {
        RuleFor(request => request.Name).NotEmpty().MaximumLength(200);
        RuleFor(request => request.Folder).NotEmpty();
    }
}

internal sealed class RegisterModelHandler(LabelingDbContext db, IBlobStore blobs) : IHandler<RegisterModel, Guid>
{
    public async ValueTask<Result<Guid>> Handle(RegisterModel request, CancellationToken cancellationToken)
    {
        if (await db.Models.AnyAsync(model => model.Id == request.Id, cancellationToken)) return request.Id;
        if (!await db.Projects.AnyAsync(project => project.Id == request.ProjectId, cancellationToken)) return Problem.NotFound("The project");
        if (ModelFolder.ProblemOf(request.Folder, request.Kind) is { } problem) return Problem.Invalid("folder", problem);
        try
        {
            db.Models.Add(new()
            {
                Id = request.Id,
                ProjectId = request.ProjectId,
                Name = request.Name.Trim(),
                Kind = request.Kind,
                Description = request.Description,
                Files = await ModelFolder.StoreAsync(blobs, request.Folder, request.Id, cancellationToken),
            });
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return Problem.Invalid("folder", $"The folder could not be copied: {error.Message}");
        }
        db.Record(request.Actor, "model.registered", request.Id, request.Name.Trim());
        await db.SaveChangesAsync(cancellationToken);
        return request.Id;
    }
}
