using Labeling.Core.Model;
using Labeling.Core.Pipeline;

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
/// <paramref name="Id"/> is made by the client; the same id again answers the first report.
/// </summary>
[Allow(Roles.Admin, system: true)]
public sealed record ImportPrompts(
    Actor Actor, Guid Id, Guid ProjectId, string FileName, Stream Jsonl, OnBadLine OnBadLine, bool CreateDemonstrationTasks) : IRequest<ImportReport>;

/// <param name="Problems">The first 1,000 bad lines, with their 1-based numbers.</param>
public sealed record ImportReport(Guid Id, int Imported, int Duplicates, int Rejected, IReadOnlyList<BadLine> Problems);

public sealed record BadLine(int Line, string Reason);
