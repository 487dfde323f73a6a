using Labeling.Core;
using Labeling.Core.Features.People;
using Labeling.Core.Pipeline;
using Mediator;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Labeling.Migrations;

/// <summary>Makes the link for the first admin where no AppHost prints one, as under Docker Compose.</summary>
internal static class SetupLink
{
    /// <param name="configuration">Names the database, which must have the present schema.</param>
    /// <param name="address">The site's address as a browser sees it.</param>
    /// <param name="output">Receives the link alone.</param>
    /// <param name="errors">Receives the reason where there is none.</param>
    public static async Task<int> WriteAsync(IConfiguration configuration, string address, TextWriter output, TextWriter errors, CancellationToken cancellation)
    {
        if (!Uri.TryCreate(address, UriKind.Absolute, out var site) || site.Scheme is not ("http" or "https"))
        {
            await errors.WriteLineAsync($"'{address}' is not the address of a site. Write it as a browser shows it: setup-link https://labeling.example.org");
            return 2;
        }

        await using var services = new ServiceCollection().AddLogging().AddLabelingCore(configuration).BuildServiceProvider();
        await using var scope = services.CreateAsyncScope();
        var result = await scope.ServiceProvider.GetRequiredService<ISender>().Send(new EnsureSetupInvitation(Actor.System), cancellation);
        if (!result.Ok || result.Value is null)
        {
            await errors.WriteLineAsync(result.Problem?.Message ?? "Somebody has an account already: an admin invites everybody else from the page People.");
            return 1;
        }

        await output.WriteLineAsync($"{site.AbsoluteUri.TrimEnd('/')}/setup/{result.Value.Token}");
        return 0;
    }
}
