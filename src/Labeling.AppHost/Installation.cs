using Labeling.Core;
using Labeling.Core.Features.People;
using Labeling.Core.Pipeline;
using Mediator;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Labeling.AppHost;

/// <summary>Sends requests to Core as the installation itself, for what has to be there before the first person is.</summary>
internal sealed class Installation : IAsyncDisposable
{
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

    public ValueTask DisposeAsync() => services.DisposeAsync();

    private async Task<T> SendAsync<T>(Core.Pipeline.IRequest<T> request, CancellationToken cancellation)
    {
        await using var scope = services.CreateAsyncScope();
        var result = await scope.ServiceProvider.GetRequiredService<ISender>().Send(request, cancellation);
        return result.Ok ? result.Value : throw new HostException($"{request.GetType().Name}: {result.Problem!.Message}");
    }
}
