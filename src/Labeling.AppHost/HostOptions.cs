using System.CommandLine;

namespace Labeling.AppHost;

/// <summary>What the command line says about how to run.</summary>
/// <param name="Port">The site's port on this machine.</param>
/// <param name="DataFolder">Where everything is kept.</param>
/// <param name="ConnectionString">A PostgreSQL to use instead of one of our own.</param>
/// <param name="Verbose">Shows the programs' output in the terminal as well.</param>
public sealed record HostOptions(int Port, string DataFolder, string? ConnectionString, bool Verbose)
{
    private static readonly Option<int> PortOption = new("--port")
    {
        Description = "Port of the site.",
        DefaultValueFactory = _ => 8080,
        Recursive = true,
    };

    private static readonly Option<string> DataOption = new("--data")
    {
        Description = "Folder for the database, files, runs and logs.",
        DefaultValueFactory = _ => AppHost.DataFolder.Default,
        Recursive = true,
    };

    private static readonly Option<string?> ConnectionOption = new("--connection")
    {
        Description = "Connection string of a PostgreSQL server to use. Without it Labeling runs one of its own. Also read from ConnectionStrings__Labeling.",
        Recursive = true,
    };

    private static readonly Option<bool> VerboseOption = new("--verbose")
    {
        Description = "Show what the programs write, which otherwise goes to the log files only.",
        Recursive = true,
    };

    /// <summary>Offers the options on this command and every command below it.</summary>
    public static void AddTo(Command command)
    {
        PortOption.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < 1 or > 65535)
                result.AddError("--port must be a number between 1 and 65535.");
        });
        command.Options.Add(PortOption);
        command.Options.Add(DataOption);
        command.Options.Add(ConnectionOption);
        command.Options.Add(VerboseOption);
    }

    public static HostOptions From(ParseResult arguments) => new(
        arguments.GetValue(PortOption),
        arguments.GetValue(DataOption)!,
        arguments.GetValue(ConnectionOption) is { Length: > 0 } given ? given : Environment.GetEnvironmentVariable("ConnectionStrings__Labeling"),
        arguments.GetValue(VerboseOption));
}
