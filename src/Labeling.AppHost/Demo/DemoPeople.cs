using System.Security.Cryptography;
using Labeling.AppHost.Starter;
using Labeling.Core;
using Labeling.Core.Data;
using Labeling.Core.Features.ApiKeys;
using Labeling.Core.Features.Models;
using Labeling.Core.Features.People;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Mediator;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Labeling.AppHost.Demo;

/// <summary>
/// Lets the scripted people in: accounts by invitation, as anybody gets one, and a key for the HTTP API each. This and bringing in the base
/// model are the only things the demo does beside the HTTP API, with the rights of whoever runs the installation.
/// </summary>
internal sealed class DemoPeople : IAsyncDisposable
{
    private readonly ServiceProvider _services;
    private readonly string _address;
    private Actor _admin;

    private DemoPeople(ServiceProvider services, string address)
    {
        _services = services;
        _address = address;
    }

    /// <summary>How the person at the keyboard can sign in: null when the site had an admin before.</summary>
    public (string Email, string Password)? SignIn { get; private set; }

    public SiteClient Admin { get; private set; } = null!;

    public IReadOnlyList<(DemonstrationWriter Person, SiteClient Site)> Writers { get; private set; } = [];

    public IReadOnlyList<(Judge Person, SiteClient Site)> Judges { get; private set; } = [];

    public static async Task<DemoPeople> LetInAsync(LabelingHost host, int seed, CancellationToken cancel)
    {
        IConfiguration configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            [$"ConnectionStrings:{LabelingCore.ConnectionStringName}"] = host.ConnectionString,
            ["Labeling:DataFolder"] = host.DataFolder,
        }).Build();
        ServiceProvider services = new ServiceCollection().AddLogging().AddSingleton(configuration).AddLabelingCore(configuration).BuildServiceProvider();
        DemoPeople people = new(services, host.Address);
        try
        {
            people.Admin = await people.AdminAsync(cancel);
            List<(DemonstrationWriter, SiteClient)> writers = [];
            foreach (DemonstrationWriter writer in DemonstrationWriter.Everybody)
                writers.Add((writer, await people.InviteAsync(writer.Name, Roles.Annotator, cancel)));
            List<(Judge, SiteClient)> judges = [];
            foreach (Judge judge in Judge.Panel(seed))
                judges.Add((judge, await people.InviteAsync(judge.Name, Roles.Ranker, cancel)));
            people.Writers = writers;
            people.Judges = judges;
            return people;
        }
        catch
        {
            await people.DisposeAsync();
            throw;
        }
    }

    /// <summary>Registers the model that comes with the program in a project.</summary>
    public Task<Guid> RegisterBaseAsync(Guid project, CancellationToken cancel) => SendAsync(
        new RegisterModel(Actor.System, Guid.CreateVersion7(), project, "Starter model", ModelKind.Policy, StarterModel.Folder, "Pre-trained on raw text of the starter world."), cancel);

    public async ValueTask DisposeAsync()
    {
        Admin?.Dispose();
        foreach ((_, SiteClient site) in Writers)
            site.Dispose();
        foreach ((_, SiteClient site) in Judges)
            site.Dispose();
        await _services.DisposeAsync();
    }

    private async Task<SiteClient> AdminAsync(CancellationToken cancel)
    {
        CreatedInvitation? setup = await SendAsync(new EnsureSetupInvitation(Actor.System), cancel);
        Guid id;
        if (setup is not null)
        {
            SignIn = ("admin@demo.example", Password());
            id = await SendAsync(new AcceptInvitation(Actor.Anonymous, setup.Token, SignIn.Value.Email, "Admin", SignIn.Value.Password), cancel);
        }
        else
        {
            await using AsyncServiceScope scope = _services.CreateAsyncScope();
            LabelingDbContext database = scope.ServiceProvider.GetRequiredService<LabelingDbContext>();
            List<AppUser> people = await database.Users.AsNoTracking().Where(u => u.DisabledAt == null).OrderBy(u => u.CreatedAt).ToListAsync(cancel);
            id = people.Find(u => u.Roles.HasFlag(Roles.Admin))?.Id
                ?? throw new HostException("Nobody on this site is an admin. Run the demo on a data folder of its own: --data <new folder>");
        }
        _admin = Actor.Person(id);
        return await WithKeyAsync(id, cancel);
    }

    private async Task<SiteClient> InviteAsync(string name, Roles roles, CancellationToken cancel)
    {
        CreatedInvitation invitation = await SendAsync(new CreateInvitation(_admin, roles, "Demo"), cancel);
        // A demo may be played twice on one site; addresses are used once.
        string email = $"{name.ToLowerInvariant().Replace(' ', '.')}.{Guid.NewGuid().ToString("n")[..6]}@demo.example";
        return await WithKeyAsync(await SendAsync(new AcceptInvitation(Actor.Anonymous, invitation.Token, email, name, Password()), cancel), cancel);
    }

    private async Task<SiteClient> WithKeyAsync(Guid person, CancellationToken cancel)
    {
        CreatedApiKey key = await SendAsync(new CreateApiKey(Actor.System, "Demo", person), cancel);
        return new SiteClient(_address, key.Secret);
    }

    private async Task<T> SendAsync<T>(Labeling.Core.Pipeline.IRequest<T> request, CancellationToken cancel)
    {
        await using AsyncServiceScope scope = _services.CreateAsyncScope();
        Result<T> result = await scope.ServiceProvider.GetRequiredService<ISender>().Send(request, cancel);
        return result.Ok ? result.Value : throw new HostException($"{request.GetType().Name}: {result.Problem!.Message}");
    }

    private static string Password() => $"Demo-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}";
}
