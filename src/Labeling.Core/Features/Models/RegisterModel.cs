using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Features.Models;

/// <summary>Brings in a Hugging Face folder from outside as a model without a run. The files are copied into the blob store.</summary>
[Allow(Roles.Admin, system: true)]
public sealed record RegisterModel(Actor Actor, Guid Id, Guid ProjectId, string Name, ModelKind Kind, string Folder, string? Description) : IRequest<Guid>;
