using System.Security.Cryptography;
using System.Text;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;

namespace Labeling.Core.Features.Prompts;

/// <summary>
/// The rows of an import in a temporary table: they stream in through COPY, are compared with the project in a few statements over all of them, and go on into
/// prompts. Inside the transaction of the request, so that a crash leaves nothing.
/// </summary>
internal sealed class PromptStaging(LabelingDbContext db)
{
    private static readonly TimeSpan Patience = TimeSpan.FromHours(1);

    public async Task FillAsync(IAsyncEnumerable<(int Line, PromptLine Prompt)> prompts, CancellationToken cancellation)
    {
        db.Database.SetCommandTimeout(Patience);
        await db.Database.ExecuteSqlAsync(
            $"""
            create temp table import_rows (
                line int primary key, id uuid not null, messages json not null, external_id text, category text, language text, author text,
                given_split text, default_split text not null, consent boolean not null, content_hash bytea not null) on commit drop
            """, cancellation);
        var connection = (NpgsqlConnection)db.Database.GetDbConnection();
        await using (var copy = await connection.BeginBinaryImportAsync("copy import_rows from stdin (format binary)", cancellation))
        {
            copy.Timeout = Patience;
            await foreach (var (line, prompt) in prompts)
            {
                var messages = MessagesAsJson.Write(prompt.Messages);
                var hash = SHA256.HashData(Encoding.UTF8.GetBytes(messages));
                var split = Prompt.SplitOf(prompt.Author is null ? hash : SHA256.HashData(Encoding.UTF8.GetBytes(prompt.Author)));
                await copy.StartRowAsync(cancellation);
                await copy.WriteAsync(line, NpgsqlDbType.Integer, cancellation);
                await copy.WriteAsync(Guid.CreateVersion7(), NpgsqlDbType.Uuid, cancellation);
                await copy.WriteAsync(messages, NpgsqlDbType.Json, cancellation);
                await WriteTextAsync(prompt.ExternalId);
                await WriteTextAsync(prompt.Category);
                await WriteTextAsync(prompt.Language);
                await WriteTextAsync(prompt.Author);
                await WriteTextAsync(prompt.Split?.ToString().ToLowerInvariant());
                await WriteTextAsync(split.ToString().ToLowerInvariant());
                await copy.WriteAsync(prompt.Consent, NpgsqlDbType.Boolean, cancellation);
                await copy.WriteAsync(hash, NpgsqlDbType.Bytea, cancellation);
            }

            await copy.CompleteAsync(cancellation);

            Task WriteTextAsync(string? text) => text is null ? copy.WriteNullAsync(cancellation) : copy.WriteAsync(text, NpgsqlDbType.Text, cancellation);
        }

        await db.Database.ExecuteSqlAsync($"create index on import_rows (content_hash); create index on import_rows (author); analyze import_rows", cancellation);
    }

    /// <summary>Drops rows that the project has already or that came earlier in the file. Answers how many.</summary>
    public async Task<int> RemoveDuplicatesAsync(Guid projectId, CancellationToken cancellation)
    {
        // From here to the end of the transaction no other import of this project decides anything.
        await db.Database.ExecuteSqlAsync($"select pg_advisory_xact_lock(hashtextextended({projectId.ToString()}, 0))", cancellation);
        return await db.Database.ExecuteSqlAsync(
            $"""
            delete from import_rows r
            where exists (select from prompts p where p.project_id = {projectId} and p.content_hash = r.content_hash)
                or exists (select from import_rows e where e.content_hash = r.content_hash and e.line < r.line)
            """, cancellation);
    }

    /// <summary>Drops rows whose id is another prompt's or whose split is not their author's, and says why.</summary>
    public async Task<IReadOnlyList<BadLine>> RemoveContradictionsAsync(Guid projectId, CancellationToken cancellation)
    {
        // The first split given for a new author in this file is the author's.
        await db.Database.ExecuteSqlAsync(
            $"""
            create temp table import_authors on commit drop as
            select distinct on (r.author) r.author, coalesce(a.split, r.given_split, r.default_split) as split, a.split is null as is_new
            from import_rows r left join prompt_authors a on a.author = r.author and a.project_id = {projectId}
            where r.author is not null
            order by r.author, r.given_split is null, r.line
            """, cancellation);
        return await db.Database.SqlQuery<BadLine>(
            $"""
            with used as (
                delete from import_rows r
                where exists (select from prompts p where p.project_id = {projectId} and p.external_id = r.external_id)
                    or exists (select from import_rows e where e.external_id = r.external_id and e.line < r.line)
                returning r.line, 'has the id "' || r.external_id || '", which another prompt has already' as reason),
            torn as (
                delete from import_rows r using import_authors a
                where a.author = r.author and r.given_split <> a.split and r.line not in (select line from used)
                returning r.line, 'has the split ' || r.given_split || ', but the author "' || a.author || '" is in ' || a.split as reason)
            select line, reason from used union all select line, reason from torn order by line
            """).ToListAsync(cancellation);
    }

    /// <summary>Moves what is left into the project, a microsecond apart so that the order of the file stays. Answers how many prompts.</summary>
    public async Task<int> StoreAsync(Guid projectId, Guid importId, CancellationToken cancellation)
    {
        await db.Database.ExecuteSqlAsync(
            $"""
            insert into prompt_authors (project_id, author, split)
            select {projectId}, a.author, a.split from import_authors a where a.is_new and exists (select from import_rows r where r.author = a.author)
            """, cancellation);
        return await db.Database.ExecuteSqlAsync(
            $"""
            insert into prompts (id, project_id, messages, source, author, external_id, category, language, split, consent, content_hash, import_id, created_at)
            select r.id, {projectId}, r.messages, 'import', r.author, r.external_id, r.category, r.language,
                coalesce(a.split, r.given_split, r.default_split), r.consent, r.content_hash, {importId}, now() + r.line * interval '1 microsecond'
            from import_rows r left join import_authors a using (author) order by r.line
            """, cancellation);
    }
}
