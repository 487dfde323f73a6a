using Labeling.Core.Data;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Core.Runs;
using Labeling.Core.Storage;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Labeling.Core.Tests.Features;

/// <summary>A world with a blob store, an admin and a project: what tests of datasets, runs and models start from.</summary>
public abstract class InRunWorld : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("labeling-world-").FullName;

    protected World World { get; private set; } = null!;
    protected Actor Admin { get; private set; }
    protected Project Project { get; private set; } = null!;
    protected IBlobStore Blobs { get; private set; } = null!;

    protected string Folder(string name) => Path.Combine(_folder, name);

    public virtual async ValueTask InitializeAsync()
    {
        Blobs = new FolderBlobStore(_folder);
        World = await World.CreateAsync(services => services.AddSingleton(Blobs));
        Admin = await World.PersonAsync(Roles.Admin, "Ada Admin");
        var id = await World.ProjectAsync();
        Project = await World.QueryAsync(db => db.Projects.SingleAsync(project => project.Id == id));
    }

    public async ValueTask DisposeAsync()
    {
        await World.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Adds rows directly and answers what the function returns.</summary>
    protected Task<T> AddAsync<T>(Func<LabelingDbContext, T> add) => World.QueryAsync(async db =>
    {
        db.Attach(Project);
        var added = add(db);
        await db.SaveChangesAsync();
        return added;
    });

    protected RunQueue Queue() => new(World.Service<Npgsql.NpgsqlDataSource>(), new() { GraceAfterDatabaseStart = TimeSpan.Zero });

    protected async Task<string> ReadAsync(string sha256)
    {
        using var reader = new StreamReader(await Blobs.OpenReadAsync(sha256));
        return await reader.ReadToEndAsync();
    }
}
