using System.Security.Cryptography;
using System.Text;
using Labeling.Core.Data;
using Labeling.Core.Features.Projects;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Labeling.Core.Tests;

/// <summary>A fresh real database with the whole of Core on it. Requests are sent as a page sends them: a scope each.</summary>
public sealed class World : IAsyncDisposable
{
    private readonly TestDatabase _database;
    private readonly ServiceProvider _services;

    private World(TestDatabase database, ServiceProvider services) => (_database, _services) = (database, services);

    /// <param name="server">A server of the test's own; otherwise the one that all tests share.</param>
    public static async Task<World> CreateAsync(Action<IServiceCollection>? configure = null, PostgresServer? server = null)
    {
        var database = server is null ? await TestDatabase.CreateAsync() : await server.CreateDatabaseAsync();
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(new Dictionary<string, string?> { ["ConnectionStrings:Labeling"] = database.ConnectionString + ";Maximum Pool Size=80" }).Build();
        var services = new ServiceCollection().AddLogging(logging => logging.SetMinimumLevel(LogLevel.Warning));
        services.AddLabelingCore(configuration);
        configure?.Invoke(services);
        return new World(database, services.BuildServiceProvider(new ServiceProviderOptions { ValidateScopes = true }));
    }

    public T Service<T>() where T : notnull => _services.GetRequiredService<T>();

    public string ConnectionString => _database.ConnectionString;

    public async Task<Result<T>> SendAsync<T>(Labeling.Core.Pipeline.IRequest<T> request)
    {
        await using var scope = _services.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<Mediator.ISender>().Send(request);
    }

    /// <summary>Sends a request that must succeed.</summary>
    public async Task<T> DoAsync<T>(Labeling.Core.Pipeline.IRequest<T> request)
    {
        var result = await SendAsync(request);
        Assert.True(result.Ok, $"{request.GetType().Name}: {result.Problem?.Message}");
        return result.Value;
    }

    /// <summary>Sends a request that must be refused.</summary>
    public async Task<Problem> RefusedAsync<T>(Labeling.Core.Pipeline.IRequest<T> request, ProblemKind kind, string? field = null)
    {
        var result = await SendAsync(request);
        Assert.False(result.Ok, $"{request.GetType().Name} was not refused");
        Assert.Equal(kind, result.Problem!.Kind);
        if (field is not null) Assert.Contains(field, result.Problem.Fields?.Keys ?? []);
        return result.Problem;
    }

    public async Task<T> QueryAsync<T>(Func<LabelingDbContext, Task<T>> query)
    {
        await using var scope = _services.CreateAsyncScope();
        return await query(scope.ServiceProvider.GetRequiredService<LabelingDbContext>());
    }

    public async Task SaveAsync(params object[] nouns)
    {
        await using var scope = _services.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<LabelingDbContext>();
        db.AddRange(nouns);
        await db.SaveChangesAsync();
    }

    public async Task<int> SqlAsync(string sql, params object[] values)
    {
        await using var command = Command(sql, values);
        return await command.ExecuteNonQueryAsync();
    }

    public async Task<T> ScalarAsync<T>(string sql, params object[] values)
    {
        await using var command = Command(sql, values);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>A person as an accepted invitation leaves them, without the slow password hash.</summary>
    public async Task<Actor> PersonAsync(Roles roles = Roles.Annotator | Roles.Ranker, string? name = null)
    {
        var id = Guid.CreateVersion7();
        name ??= "p" + id.ToString("N")[20..];
        var email = $"{name}@example.org";
        await SaveAsync(new AppUser
        {
            Id = id,
            DisplayName = name,
            Roles = roles,
            UserName = email,
            NormalizedUserName = email.ToUpperInvariant(),
            Email = email,
            NormalizedEmail = email.ToUpperInvariant(),
            SecurityStamp = "s",
        });
        return Actor.Person(id);
    }

    public Task<Guid> ProjectAsync(int demonstrationOverlap = 1, int rankingOverlap = 1) => DoAsync(new CreateProject(
        Actor.System, Guid.CreateVersion7(), "Test", "", "Be helpful.", new ProjectRules(demonstrationOverlap, rankingOverlap)));

    public static Prompt NewPrompt(Guid projectId, string text) => new()
    {
        Id = Guid.CreateVersion7(),
        ProjectId = projectId,
        Messages = [new Message("user", text)],
        Source = PromptSource.Import,
        ContentHash = SHA256.HashData(Encoding.UTF8.GetBytes(text)),
        Consent = true,
    };

    /// <summary>Demonstration tasks, one per prompt.</summary>
    public async Task<IReadOnlyList<Guid>> DemonstrationTasksAsync(Guid projectId, int count, int overlap = 1)
    {
        var prompts = Enumerable.Range(0, count).Select(i => NewPrompt(projectId, $"Prompt {i} {Guid.NewGuid()}")).ToArray();
        var tasks = prompts.Select(p => new LabelingTask
        {
            Id = Guid.CreateVersion7(),
            ProjectId = projectId,
            PromptId = p.Id,
            Kind = TaskKind.Demonstration,
            Overlap = overlap,
        }).ToArray();
        await SaveAsync([.. prompts, .. tasks]);
        return [.. tasks.Select(t => t.Id)];
    }

    /// <summary>A ranking task over answers written by <paramref name="authors"/>, one each.</summary>
    public async Task<(Guid TaskId, Guid[] CompletionIds)> RankingTaskAsync(Guid projectId, IReadOnlyList<Actor> authors, int overlap = 1, string? batch = null)
    {
        var (nouns, task) = NewRankingTask(projectId, authors, overlap, batch);
        await SaveAsync([.. nouns]);
        return (task.Id, [.. task.Completions.Select(c => c.CompletionId)]);
    }

    public static (IReadOnlyList<object> Nouns, LabelingTask Task) NewRankingTask(Guid projectId, IReadOnlyList<Actor> authors, int overlap = 1, string? batch = null)
    {
        var prompt = NewPrompt(projectId, "Rank " + Guid.NewGuid());
        var completions = authors.Select((author, i) => new Completion
        {
            Id = Guid.CreateVersion7(),
            PromptId = prompt.Id,
            Source = CompletionSource.Human,
            Text = $"Answer {i}",
            AuthorId = author.UserId,
        }).ToList();
        var task = new LabelingTask { Id = Guid.CreateVersion7(), ProjectId = projectId, PromptId = prompt.Id, Kind = TaskKind.Ranking, Overlap = overlap, Batch = batch };
        task.Completions.AddRange(completions.Select((c, i) => new TaskCompletion { TaskId = task.Id, CompletionId = c.Id, Ordinal = i }));
        return ([prompt, .. completions, task], task);
    }

    public Task<ClaimedTask?> ClaimAsync(Actor actor, Guid projectId, TaskKind kind = TaskKind.Demonstration) => DoAsync(new ClaimTask(actor, projectId, kind));

    /// <summary>Makes a lease run out now, by the database clock, under the lock of its task as every other change.</summary>
    public Task LapseAsync(Guid assignmentId) => SqlAsync(
        $"""
        select 1 from tasks where id = (select task_id from assignments where id = '{assignmentId}') for no key update;
        update assignments set expires_at = clock_timestamp() - interval '1 second' where id = '{assignmentId}';
        update tasks t set next_lapse_at = (select min(expires_at) from assignments a where a.task_id = t.id and a.state = 'active')
        where id = (select task_id from assignments where id = '{assignmentId}');
        """);

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        await _database.DisposeAsync();
    }

    private NpgsqlCommand Command(string sql, object[] values)
    {
        var command = _services.GetRequiredService<NpgsqlDataSource>().CreateCommand(sql);
        foreach (var value in values) command.Parameters.Add(new NpgsqlParameter { Value = value });
        return command;
    }
}

/// <summary>Base of tests that have a world each.</summary>
public abstract class InWorld : IAsyncLifetime
{
    protected World World { get; private set; } = null!;

    public async ValueTask InitializeAsync() => World = await World.CreateAsync();

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await World.DisposeAsync();
    }
}
