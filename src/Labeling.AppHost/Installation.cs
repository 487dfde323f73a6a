using System.Text;
using Labeling.AppHost.Starter;
using Labeling.Core;
using Labeling.Core.Data;
using Labeling.Core.Features.Models;
using Labeling.Core.Features.People;
using Labeling.Core.Features.Projects;
using Labeling.Core.Features.Prompts;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Mediator;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Labeling.AppHost;

/// <summary>Sends requests to Core as the installation itself, for what has to be there before the first person is.</summary>
internal sealed class Installation : IAsyncDisposable
{
    private static readonly Guid ProjectId = new("019b0000-0000-7000-8000-000000000001");
    private static readonly Guid ModelId = new("019b0000-0000-7000-8000-000000000002");
    private static readonly Guid ImportId = new("019b0000-0000-7000-8000-000000000003");

    private readonly ServiceProvider services;

    public Installation(string connectionString, string dataFolder)
    {
        IConfiguration configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            [$"ConnectionStrings:{LabelingCore.ConnectionStringName}"] = connectionString,
            ["Labeling:DataFolder"] = dataFolder,
        }).Build();
        services = new ServiceCollection().AddLogging().AddSingleton(configuration).AddLabelingCore(configuration).BuildServiceProvider();
    }

    /// <summary>A new link token for the first admin; earlier ones stop working. Null once anybody has an account.</summary>
    public Task<CreatedInvitation?> InviteFirstAdminAsync(CancellationToken cancellation) => SendAsync(new EnsureSetupInvitation(Actor.System), cancellation);

    /// <summary>
    /// The project a fresh installation offers: the starter model, and prompts that wait for demonstrations. Its ids are fixed, so a
    /// start that was interrupted in the middle is completed by the next one and nothing is made twice.
    /// </summary>
    public async Task SeedStarterProjectAsync(CancellationToken cancellation)
    {
        await SendAsync(
            new CreateProject(Actor.System, ProjectId, StarterProject.Name, StarterProject.Description, StarterProject.Guideline, new ProjectRules()), cancellation);
        // A build may come without the model; `starter-model` makes it.
        if (Directory.Exists(StarterModel.Folder))
        {
            await SendAsync(
                new RegisterModel(
                    Actor.System, ModelId, ProjectId, "Starter model", ModelKind.Policy, StarterModel.Folder, "A small base model, pre-trained on raw text of the starter world."),
                cancellation);
        }

        await using var prompts = new MemoryStream(Encoding.UTF8.GetBytes(StarterProject.PromptsJsonl()));
        await SendAsync(
            new ImportPrompts(Actor.System, ImportId, ProjectId, "starter-prompts.jsonl", prompts, OnBadLine.RejectAll, CreateDemonstrationTasks: true), cancellation);
    }

    public ValueTask DisposeAsync() => services.DisposeAsync();

    /// <summary>Whoever has been an admin for longest; null while there is none.</summary>
    public async Task<Guid?> FirstAdminAsync(CancellationToken cancellation)
    {
        await using var scope = services.CreateAsyncScope();
        var people = await scope.ServiceProvider.GetRequiredService<LabelingDbContext>().Users.AsNoTracking()
            .Where(person => person.DisabledAt == null).OrderBy(person => person.CreatedAt).Select(person => new { person.Id, person.Roles }).ToListAsync(cancellation);
        return people.Find(person => person.Roles.HasFlag(Roles.Admin))?.Id;
    }

    public async Task<T> SendAsync<T>(Core.Pipeline.IRequest<T> request, CancellationToken cancellation)
    {
        await using var scope = services.CreateAsyncScope();
        var result = await scope.ServiceProvider.GetRequiredService<ISender>().Send(request, cancellation);
        return result.Ok ? result.Value : throw new HostException($"{request.GetType().Name}: {result.Problem!.Message}");
    }
}
