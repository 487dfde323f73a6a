using Labeling.Core;
using Labeling.Migrations;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

// [--wait SECONDS] brings the database to the present schema; setup-link ADDRESS prints a link for the first admin.
// Exit code 0 when that was done, 1 when it could not be, 2 when the configuration is wrong.
var configuration = new ConfigurationBuilder().AddEnvironmentVariables().AddCommandLine(args).Build();
if (!double.TryParse(configuration["wait"] ?? "60", out var seconds) || seconds < 0)
{
    Console.Error.WriteLine($"--wait takes a number of seconds, not '{configuration["wait"]}'.");
    return 2;
}

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) => { e.Cancel = true; stop.Cancel(); };
var services = new ServiceCollection();
try
{
    services.AddLabelingDatabase(configuration);
}
catch (InvalidOperationException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}

try
{
    if (args is ["setup-link", var address, ..]) return await SetupLink.WriteAsync(configuration, address, Console.Out, Console.Error, stop.Token);
    await using var provider = services.BuildServiceProvider();
    await using var scope = provider.CreateAsyncScope();
    await ActivatorUtilities.CreateInstance<Migrator>(scope.ServiceProvider, Console.Out).MigrateAsync(TimeSpan.FromSeconds(seconds), stop.Token);
    return 0;
}
catch (Exception e) when (e is TimeoutException or NpgsqlException or OperationCanceledException)
{
    Console.Error.WriteLine($"The database was not migrated. {e.Message}");
    return 1;
}
