using System.Security.Cryptography;
using Labeling.AppHost.Starter;
using Labeling.Core.Features.ApiKeys;
using Labeling.Core.Features.Models;
using Labeling.Core.Features.People;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.AppHost.Demo;

/// <summary>
/// Lets the scripted people in: accounts by invitation, as anybody gets one, and a key for the HTTP API each. This and bringing in the base
/// model are the only things the demo does beside the HTTP API, with the rights of whoever runs the installation.
/// </summary>
internal sealed class DemoPeople : IAsyncDisposable
{
    private readonly Installation _installation;
    private readonly string _address;
    private Actor _admin;

    private DemoPeople(Installation installation, string address)
    {
        _installation = installation;
        _address = address;
    }

    /// <summary>How the person at the keyboard can sign in: null when the site had an admin before.</summary>
    public (string Email, string Password)? SignIn { get; private set; }

    public SiteClient Admin { get; private set; } = null!;

    public IReadOnlyList<(DemonstrationWriter Person, SiteClient Site)> Writers { get; private set; } = [];

    public IReadOnlyList<(Judge Person, SiteClient Site)> Judges { get; private set; } = [];

    public static async Task<DemoPeople> LetInAsync(LabelingHost host, int seed, CancellationToken cancel)
    {
        DemoPeople people = new(new Installation(host.ConnectionString, host.DataFolder), host.Address);
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
    public Task<Guid> RegisterBaseAsync(Guid project, CancellationToken cancel) => _installation.SendAsync(
        new RegisterModel(Actor.System, Guid.CreateVersion7(), project, "Starter model", ModelKind.Policy, StarterModel.Folder, "Pre-trained on raw text of the starter world."), cancel);

    public async ValueTask DisposeAsync()
    {
        Admin?.Dispose();
        foreach ((_, SiteClient site) in Writers)
            site.Dispose();
        foreach ((_, SiteClient site) in Judges)
            site.Dispose();
        await _installation.DisposeAsync();
    }

    private async Task<SiteClient> AdminAsync(CancellationToken cancel)
    {
        CreatedInvitation? setup = await _installation.InviteFirstAdminAsync(cancel);
        Guid id;
        if (setup is not null)
        {
            SignIn = ("admin@demo.example", Password());
            id = await _installation.SendAsync(new AcceptInvitation(Actor.Anonymous, setup.Token, SignIn.Value.Email, "Admin", SignIn.Value.Password), cancel);
        }
        else
        {
            id = await _installation.FirstAdminAsync(cancel)
                ?? throw new HostException("Nobody on this site is an admin. Run the demo on a data folder of its own: --data <new folder>");
        }
        _admin = Actor.Person(id);
        return await WithKeyAsync(id, cancel);
    }

    private async Task<SiteClient> InviteAsync(string name, Roles roles, CancellationToken cancel)
    {
        CreatedInvitation invitation = await _installation.SendAsync(new CreateInvitation(_admin, roles, "Demo"), cancel);
        // A demo may be played twice on one site; addresses are used once.
        string email = $"{name.ToLowerInvariant().Replace(' ', '.')}.{Guid.NewGuid().ToString("n")[..6]}@demo.example";
        return await WithKeyAsync(await _installation.SendAsync(new AcceptInvitation(Actor.Anonymous, invitation.Token, email, name, Password()), cancel), cancel);
    }

    private async Task<SiteClient> WithKeyAsync(Guid person, CancellationToken cancel)
    {
        CreatedApiKey key = await _installation.SendAsync(new CreateApiKey(Actor.System, "Demo", person), cancel);
        return new SiteClient(_address, key.Secret);
    }

    private static string Password() => $"Demo-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}";
}
