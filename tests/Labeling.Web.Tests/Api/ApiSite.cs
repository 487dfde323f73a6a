using System.Net.Http.Headers;
using Labeling.Core.Data;
using Labeling.Core.Features.ApiKeys;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Testing;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;

[assembly: AssemblyFixture(typeof(Labeling.Web.Tests.Api.ApiSite))]

namespace Labeling.Web.Tests.Api;

/// <summary>The site on a real port with a real database, and people with API keys. Tests share it and keep apart by projects of their own.</summary>
public sealed class ApiSite : WebApplicationFactory<Program>, IAsyncLifetime
{
    private readonly string _files = Directory.CreateTempSubdirectory("labeling-web-tests-").FullName;
    private TestDatabase? _database;

    public ApiSite() => UseKestrel(0);

    public TestDatabase Database => _database ?? throw new InvalidOperationException("Not started.");

    public async ValueTask InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync();
        StartServer();
    }

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        builder.UseSetting("ConnectionStrings:Labeling", Database.ConnectionString);
        builder.UseSetting("Labeling:DataFolder", _files);
        builder.UseSetting("Logging:LogLevel:Default", "Warning");
    }

    /// <summary>A client that carries no key.</summary>
    public HttpClient Anonymous()
    {
        var client = CreateClient();
        client.BaseAddress = new Uri(client.BaseAddress!, "/api/v1/");
        return client;
    }

    public HttpClient With(string secret)
    {
        var client = Anonymous();
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", secret);
        return client;
    }

    /// <summary>A new person with these roles, and a client that acts as them.</summary>
    public async Task<(AppUser Person, HttpClient Client)> PersonAsync(Roles roles, string name = "Kim")
    {
        AppUser person;
        await using (var db = Database.CreateContext())
        {
            person = Seed.Person(db, name, roles);
            await db.SaveChangesAsync();
        }

        var key = await SendAsync(new CreateApiKey(Actor.System, "tests", person.Id));
        return (person, With(key.Secret));
    }

    /// <summary>A new person who signed in on the site.</summary>
    internal Task<Browser> BrowserAsync(Roles roles) => Browser.JoinAsync(this, CreateClient().BaseAddress!, roles);

    public async Task<HttpClient> AdminAsync() => (await PersonAsync(Roles.Admin)).Client;

    public async Task<T> SendAsync<T>(Core.Pipeline.IRequest<T> request)
    {
        await using var scope = Services.CreateAsyncScope();
        var answer = await scope.ServiceProvider.GetRequiredService<Mediator.ISender>().Send(request);
        Assert.True(answer.Ok, answer.Problem?.Message);
        return answer.Value;
    }

    /// <summary>Puts rows into the database.</summary>
    public async Task<T> SeedAsync<T>(Func<LabelingDbContext, T> rows)
    {
        await using var db = Database.CreateContext();
        var made = rows(db);
        await db.SaveChangesAsync();
        return made;
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        if (_database is not null)
        {
            await _database.DisposeAsync();
        }

        Directory.Delete(_files, recursive: true);
    }
}
