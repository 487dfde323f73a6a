using Labeling.Core.Pipeline;
using Labeling.Web.Accounts;
using Mediator;
using Microsoft.AspNetCore.Components.Authorization;

namespace Labeling.Web.Site;

/// <summary>
/// How components send requests. A circuit lives for hours and its components run side by side, so every send gets its own scope and with it
/// its own DbContext. The actor is the circuit's person; what they may do is decided in the pipeline.
/// </summary>
/// <example><code>var queue = await Sender.Send(actor => new GetQueue(actor));</code></example>
public sealed class AppSender(IServiceScopeFactory scopes, AuthenticationStateProvider authentication)
{
    public async Task<Result<T>> Send<T>(Func<Actor, Core.Pipeline.IRequest<T>> request, CancellationToken cancellationToken = default)
    {
        var state = await authentication.GetAuthenticationStateAsync();
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<ISender>().Send(request(state.User.Actor()), cancellationToken);
    }
}
