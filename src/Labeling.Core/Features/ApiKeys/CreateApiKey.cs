using System.Security.Cryptography;
using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.ApiKeys;

/// <summary>A key acts as its person with that person's roles. The secret is in the answer only. The system may make one for a person (scripted use).</summary>
[Allow(Roles.Annotator | Roles.Ranker, system: true)]
public sealed record CreateApiKey(Actor Actor, string Name, Guid? ForPersonId = null) : IRequest<CreatedApiKey>;

public sealed record CreatedApiKey(Guid Id, string Secret);

internal sealed class CreateApiKeyValidator : AbstractValidator<CreateApiKey>
{
    public CreateApiKeyValidator() => RuleFor(r => r.Name).NotEmpty().MaximumLength(100);
}

internal sealed class CreateApiKeyHandler(LabelingDbContext db) : IHandler<CreateApiKey, CreatedApiKey>
{
    public async ValueTask<Result<CreatedApiKey>> Handle(CreateApiKey request, CancellationToken cancellationToken)
    {
        var owner = request.Actor.IsSystem ? request.ForPersonId : request.Actor.UserId;
        if (owner is not { } userId) return Problem.Invalid("forPersonId", "Name the person the key is for.");
        if (!request.Actor.IsSystem && request.ForPersonId is { } other && other != userId) return Problem.Forbidden("You can make keys for yourself only.");
        if (!await db.Users.AnyAsync(u => u.Id == userId, cancellationToken)) return Problem.Invalid("forPersonId", "There is no such person.");

        var secret = ApiKeySecret.New();
        var key = new ApiKey { Id = Guid.CreateVersion7(), UserId = userId, Name = request.Name.Trim(), Prefix = ApiKeySecret.PrefixOf(secret)!, Hash = Secret.Hash(secret) };
        db.ApiKeys.Add(key);
        db.Record(request.Actor, "api_key.created", key.Id, key.Name);
        await db.SaveChangesAsync(cancellationToken);
        return new CreatedApiKey(key.Id, secret);
    }
}

/// <summary><c>lab_</c>, eight characters to find the key by, and the secret itself. The first part makes a leaked key recognisable to scanners.</summary>
internal static class ApiKeySecret
{
    private const string Mark = "lab_";
    private const int PrefixLength = 12;
    private const int Length = PrefixLength + 1 + 43;

    public static string New() => $"{Mark}{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))}_{Secret.New()}";

    /// <summary>The part that is stored in the clear; null when the text is no key of ours.</summary>
    public static string? PrefixOf(string secret) =>
        secret.Length == Length && secret.StartsWith(Mark, StringComparison.Ordinal) && secret[PrefixLength] == '_' ? secret[..PrefixLength] : null;
}
