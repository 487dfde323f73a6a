using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Labeling.Core.Features.People;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Testing;
using Mediator;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace Labeling.Web.Tests;

/// <summary>The real site on a real port and a real database; people come in by invitation as they do outside.</summary>
public sealed class SiteFixture : IAsyncLifetime
{
    public const string Password = "correct horse battery";

    private readonly DirectoryInfo _data = Directory.CreateTempSubdirectory("labeling-web-tests");
    private TestDatabase _database = default!;
    private SiteFactory _factory = default!;
    private int _people;

    public TestDatabase Database => _database;

    public Uri Address => _factory.ClientOptions.BaseAddress;

    public async ValueTask InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync();
        _factory = new SiteFactory(_database.ConnectionString, _data.FullName);
        _factory.UseKestrel(0);
        _factory.StartServer();
    }

    public async ValueTask DisposeAsync()
    {
        await _factory.DisposeAsync();
        await _database.DisposeAsync();
        _data.Delete(recursive: true);
    }

    /// <summary>A browser's HTTP side: cookies are kept, redirects are not followed.</summary>
    public Browser Open() => new(Address);

    public async Task<Result<T>> Send<T>(Core.Pipeline.IRequest<T> request)
    {
        await using var scope = _factory.Services.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<ISender>().Send(request);
    }

    /// <summary>A person with an account, and the browser they are signed in with.</summary>
    public async Task<(Guid Id, string Email, Browser Browser)> Person(Roles roles)
    {
        await using var db = _database.CreateContext();
        var email = $"person{Interlocked.Increment(ref _people)}@example.org";
        var token = await Invite(roles);
        var id = (await Send(new AcceptInvitation(Actor.Anonymous, token, email, "A Person", Password))).Value;
        var browser = Open();
        var signedIn = await browser.SignIn(email, Password);
        Assert.Equal(HttpStatusCode.Found, signedIn.StatusCode);
        return (id, email, browser);
    }

    /// <summary>The first invitation of an installation is its set-up link; the rest come from the admin it made.</summary>
    public async Task<string> Invite(Roles roles)
    {
        var admin = await Admin();
        return (await Send(new CreateInvitation(admin, roles, null))).Value.Token;
    }

    public async Task<Actor> Admin()
    {
        await _adminLock.WaitAsync();
        try
        {
            if (_admin is null)
            {
                var setup = (await Send(new EnsureSetupInvitation(Actor.System))).Value!;
                _admin = Actor.Person((await Send(new AcceptInvitation(Actor.Anonymous, setup.Token, "admin@example.org", "First Admin", Password))).Value);
            }

            return _admin.Value;
        }
        finally
        {
            _adminLock.Release();
        }
    }

    private readonly SemaphoreSlim _adminLock = new(1);
    private Actor? _admin;

    private sealed class SiteFactory(string connectionString, string dataFolder) : WebApplicationFactory<Program>
    {
        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            builder.UseEnvironment("Production");
            builder.UseSetting("ConnectionStrings:Labeling", connectionString);
            builder.UseSetting("Labeling:DataFolder", dataFolder);
            builder.UseSetting("Labeling:SignInAttemptsPerMinute", "100000");
        }
    }
}

public sealed partial class Browser(Uri address) : IDisposable
{
    private readonly HttpClientHandler _handler = new() { AllowAutoRedirect = false, UseCookies = true, CookieContainer = new CookieContainer() };
    private HttpClient? _client;

    public HttpClient Client => _client ??= new HttpClient(_handler) { BaseAddress = address };

    public CookieContainer Cookies => _handler.CookieContainer;

    public Task<HttpResponseMessage> Get(string path) => Client.GetAsync(new Uri(path, UriKind.Relative));

    public async Task<string> FormToken(string path) => FormTokenField().Match(await (await Get(path)).Content.ReadAsStringAsync()).Groups[1].Value;

    /// <summary>Fills in a static form as a browser does: with the token and the handler's name of its page.</summary>
    public async Task<HttpResponseMessage> Post(string path, string handler, Dictionary<string, string> fields, bool withToken = true)
    {
        var token = await FormToken(path);
        var all = new Dictionary<string, string>(fields) { ["_handler"] = handler };
        if (withToken)
        {
            all["__RequestVerificationToken"] = token;
        }

        using var form = new FormUrlEncodedContent(all);
        return await Client.PostAsync(new Uri(path, UriKind.Relative), form);
    }

    public Task<HttpResponseMessage> SignIn(string email, string password, string path = "/sign-in") =>
        Post(path, "sign-in", new() { ["Input.Email"] = email, ["Input.Password"] = password, ["Input.Remember"] = "true" });

    /// <summary>A call as the labeling pages' scripts make it.</summary>
    public async Task<HttpResponseMessage> Call(HttpMethod method, string path, object? body = null, string? token = "")
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
        {
            request.Content = body is string text ? new StringContent(text, Encoding.UTF8, "application/json") : new StringContent(JsonSerializer.Serialize(body, JsonSerializerOptions.Web), Encoding.UTF8, "application/json");
        }

        // A large body waits for the server's word, so that a refusal is an answer and not a broken pipe.
        request.Headers.ExpectContinue = body is not null && request.Content!.Headers.ContentLength > 1024 * 1024;

        if (token == "")
        {
            token = (await Json(await Get("/app/session"))).GetProperty("token").GetString();
        }

        if (token is not null)
        {
            request.Headers.Add("X-CSRF-TOKEN", token);
        }

        return await Client.SendAsync(request);
    }

    public static async Task<JsonElement> Json(HttpResponseMessage response)
    {
        using var json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        return json.RootElement.Clone();
    }

    public void Dispose()
    {
        _client?.Dispose();
        _handler.Dispose();
    }

    [GeneratedRegex("name=\"__RequestVerificationToken\" value=\"([^\"]+)\"")]
    private static partial Regex FormTokenField();
}
