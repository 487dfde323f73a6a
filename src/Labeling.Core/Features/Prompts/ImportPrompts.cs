using System.Runtime.CompilerServices;
using System.Text.Json;
using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Prompts;

public enum OnBadLine
{
    /// <summary>Import the good lines, report the bad ones.</summary>
    KeepGood,

    /// <summary>Import nothing when any line is bad.</summary>
    RejectAll,
}

/// <summary>
/// Prompts from JSONL, one object a line: <c>prompt</c> (text) or <c>messages</c> (list of role and content, the last from the user), and optionally
/// <c>id</c>, <c>category</c>, <c>language</c>, <c>author</c>, <c>split</c>, <c>consent</c>. Streams: memory does not grow with the file.
/// <paramref name="Id"/> is made by the client; the same id again answers the first report. An upload that broke off has left nothing behind: send it again.
/// A prompt that the project has already, or that comes twice, is counted as a duplicate. The split is the one given, else that of the author, else by hash of the
/// content; a split that contradicts the one the author is in already makes a bad line.
/// </summary>
[Allow(Roles.Admin, system: true)]
public sealed record ImportPrompts(
    Actor Actor, Guid Id, Guid ProjectId, string FileName, Stream Jsonl, OnBadLine OnBadLine, bool CreateDemonstrationTasks)
    : IRequest<ImportReport>, IReadOnceRequest;

/// <param name="Problems">The first 1,000 bad lines, with their 1-based numbers.</param>
public sealed record ImportReport(Guid Id, int Imported, int Duplicates, int Rejected, IReadOnlyList<BadLine> Problems);

public sealed record BadLine(int Line, string Reason);

internal sealed class ImportPromptsValidator : AbstractValidator<ImportPrompts>
{
    public ImportPromptsValidator() => RuleFor(r => r.FileName).NotEmpty().MaximumLength(255);
}

internal sealed class ImportPromptsHandler(LabelingDbContext db, PromptStaging staging) : IHandler<ImportPrompts, ImportReport>
{
    private const int MaxReported = 1000;

    public async ValueTask<Result<ImportReport>> Handle(ImportPrompts request, CancellationToken cancellationToken)
    {
        if (!await db.Projects.AnyAsync(p => p.Id == request.ProjectId, cancellationToken)) return Problem.NotFound("The project");

        // Waits for another upload with the same id, and then finds it.
        var isFirst = await db.Database.ExecuteSqlAsync(
            $"""
            insert into prompt_imports (id, project_id, file_name, imported, duplicates, rejected, problems, created_by_id)
            values ({request.Id}, {request.ProjectId}, {request.FileName}, 0, 0, 0, '[]', {request.Actor.UserId}) on conflict (id) do nothing
            """, cancellationToken) == 1;
        var import = await db.PromptImports.SingleAsync(i => i.Id == request.Id, cancellationToken);
        if (!isFirst) return import.ProjectId == request.ProjectId ? Report(import) : Problem.Conflict("This id belongs to an import of another project.", "id");

        var problems = new List<BadLine>();
        await staging.FillAsync(ReadAsync(request.Jsonl, import, problems, cancellationToken), cancellationToken);
        import.Duplicates = await staging.RemoveDuplicatesAsync(request.ProjectId, cancellationToken);
        foreach (var bad in await staging.RemoveContradictionsAsync(request.ProjectId, cancellationToken)) Reject(import, problems, bad);
        if (import.Rejected == 0 || request.OnBadLine == OnBadLine.KeepGood)
        {
            import.Imported = await staging.StoreAsync(request.ProjectId, request.Id, cancellationToken);
            if (request.CreateDemonstrationTasks) await db.AskForDemonstrationsAsync(request.ProjectId, request.Id, null, null, cancellationToken);
        }

        import.Problems = JsonSerializer.Serialize(problems.OrderBy(p => p.Line));
        db.Record(request.Actor, "prompts.imported", request.Id, $"{import.FileName}: {import.Imported} prompts");
        await db.SaveChangesAsync(cancellationToken);
        return Report(import);
    }

    private static async IAsyncEnumerable<(int Line, PromptLine Prompt)> ReadAsync(
        Stream jsonl, PromptImport import, List<BadLine> problems, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await foreach (var line in JsonLines.ReadAsync(jsonl, PromptLine.MaxBytes, cancellation))
        {
            PromptLine? prompt = null;
            try
            {
                prompt = PromptLine.Parse(line);
            }
            catch (BadLineException e)
            {
                Reject(import, problems, new BadLine(line.Number, e.Message));
            }

            if (prompt is not null) yield return (line.Number, prompt);
        }
    }

    private static void Reject(PromptImport import, List<BadLine> problems, BadLine bad)
    {
        import.Rejected++;
        if (problems.Count < MaxReported) problems.Add(bad);
    }

    private static ImportReport Report(PromptImport import) =>
        new(import.Id, import.Imported, import.Duplicates, import.Rejected, JsonSerializer.Deserialize<List<BadLine>>(import.Problems)!);
}
