using System.Net;
using System.Text.RegularExpressions;
using Labeling.Core.Features.People;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Web.Tests.Api;

/// <summary>A person who came in through an invitation in the browser: cookies, and the form token of the page they see.</summary>
internal sealed partial record Browser(HttpClient Client, string FormToken)
{
    public static async Task<Browser> JoinAsync(ApiSite site, Uri address, Roles roles)
    {
        var (admin, _) = await site.PersonAsync(Roles.Admin);
        var invitation = await site.SendAsync(new CreateInvitation(Actor.Person(admin.Id), roles, null));
        var client = new HttpClient(new HttpClientHandler { CookieContainer = new CookieContainer() }) { BaseAddress = address };
        var form = await client.GetStringAsync($"/join/{invitation.Token}");
        var fields = new Dictionary<string, string>
        {
            ["_handler"] = "join",
            ["__RequestVerificationToken"] = FormField().Match(form).Groups[1].Value,
            ["Input.DisplayName"] = "Jo",
            ["Input.Email"] = $"jo.{Guid.NewGuid():N}@example.org",
            ["Input.Password"] = "a long enough password",
        };
        using var joined = await client.PostAsync($"/join/{invitation.Token}", new FormUrlEncodedContent(fields));
        joined.EnsureSuccessStatusCode();
        var token = PageToken().Match(await client.GetStringAsync("/")).Groups[1].Value;
        Assert.NotEmpty(token);
        return new Browser(client, token);
    }

    [GeneratedRegex("name=\"__RequestVerificationToken\" value=\"([^\"]+)\"")]
    private static partial Regex FormField();

    [GeneratedRegex("name=\"csrf-token\" content=\"([^\"]+)\"")]
    private static partial Regex PageToken();
}
