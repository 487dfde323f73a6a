using System.CommandLine;
using Labeling.AppHost.Demo;
using Labeling.AppHost.Starter;

namespace Labeling.AppHost;

/// <summary>The command without a name: start everything, say where it is, and run until asked to stop.</summary>
internal static class HostCommand
{
    public static RootCommand Create()
    {
        var command = new RootCommand("Runs all of Labeling on this machine: its database, its site and its worker.");
        HostOptions.AddTo(command);
        command.Subcommands.Add(DemoCommand.Create());
        command.Subcommands.Add(StarterModelCommand.Create());
        command.SetAction((arguments, _) => RunAsync(HostOptions.From(arguments), OfferSetupAsync));
        return command;
    }

    /// <summary>Starts everything, does <paramref name="work"/> with it, and runs until stopped.</summary>
    /// <param name="options">How to run.</param>
    /// <param name="work">Answers an exit code to end with it, or null to leave the site up.</param>
    public static async Task<int> RunAsync(HostOptions options, Func<LabelingHost, Screen, CancellationToken, Task<int?>> work)
    {
        var screen = new Screen();
        using var stop = new StopSignal();
        try
        {
            screen.Strong("Labeling is starting.");
            await using var host = await LabelingHost.StartAsync(options, screen, stop.Token);
            Greet(host, screen);
            var exitCode = await work(host, screen, stop.Token);
            if (exitCode is null)
                await Task.Delay(Timeout.Infinite, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            screen.Line("Stopping.");
            await host.DisposeAsync();
            screen.Line("Stopped; everything is saved.");
            return exitCode ?? 0;
        }
        catch (OperationCanceledException) when (stop.Token.IsCancellationRequested)
        {
            screen.Line("Stopped.");
            return 0;
        }
        catch (HostException error)
        {
            screen.Fail(error.Message);
            return 1;
        }
    }

    private static Task<int?> OfferSetupAsync(LabelingHost host, Screen screen, CancellationToken cancellation)
    {
        if (host.SetupLink is { } link)
        {
            screen.Line("  Nobody has an account yet. Whoever opens this link becomes the admin; it works once:");
            screen.Strong($"  {link}");
            screen.Line();
        }

        return Task.FromResult<int?>(null);
    }

    private static void Greet(LabelingHost host, Screen screen)
    {
        screen.Line();
        screen.Strong($"  Labeling is ready: {host.Address}");
        screen.Line();
        screen.Line($"  Data      {host.DataFolder}");
        screen.Line($"  Database  {host.DatabaseDescription}");
        screen.Line($"  Logs      {host.LogFolder}");
        screen.Line("  Stop      Ctrl-C; the next start finds everything again");
        screen.Line();
    }
}
