using Labeling.Core;
using Labeling.Core.Runs;
using Labeling.Worker;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

// Claims training runs from the database and carries them out, one at a time, each in a child process.
try
{
    var builder = Host.CreateApplicationBuilder(args);
    builder.Logging.AddFilter("Microsoft.EntityFrameworkCore", LogLevel.Warning).AddSimpleConsole(console => console.SingleLine = true);
    builder.Services.AddLabelingCore(builder.Configuration);
    builder.Services.AddSingleton(WorkerOptions.Read(builder.Configuration));
    builder.Services.AddSingleton(builder.Configuration.GetSection("Labeling:Queue").Get<RunQueueOptions>() ?? new());
    builder.Services.AddSingleton<RunQueue>();
    builder.Services.AddSingleton<RunSignals>();
    builder.Services.AddSingleton<RunExecutor>();
    builder.Services.AddSingleton<RunRecorder>();
    builder.Services.AddSingleton<RunFolderWriter>();
    builder.Services.AddHostedService<ParentWatch>();
    builder.Services.AddHostedService<RunWorker>();
    // A trainer may take a while to write its checkpoint before it stops.
    builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = WorkerOptions.StopGrace + TimeSpan.FromSeconds(10));
    await builder.Build().RunAsync();
    return 0;
}
catch (InvalidOperationException error)
{
    Console.Error.WriteLine(error.Message);
    return 2;
}
