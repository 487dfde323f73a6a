using System.Runtime.InteropServices;
using Labeling.AppHost.Supervision;

namespace Labeling.AppHost;

/// <summary>Where the other programs of this build are, and how they are started.</summary>
internal static class Programs
{
    public const string Migrator = "Labeling.Migrations";
    public const string Web = "Labeling.Web";
    public const string Worker = "Labeling.Worker";

    /// <summary>Starts a program of the same build configuration in its own folder, so that it finds its settings there.</summary>
    public static Launch Launch(string project, IReadOnlyDictionary<string, string?> environment) => Launch(project, project, environment);

    /// <summary>Starts the trainer with arguments of its own.</summary>
    public static Launch Trainer(params string[] arguments) => Launch("Labeling.Training.Cli", "labeling-train", new Dictionary<string, string?>(), arguments);

    private static Launch Launch(string project, string program, IReadOnlyDictionary<string, string?> environment, params string[] arguments)
    {
        // artifacts/bin/<project>/<configuration>/, for this program as for the others.
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        var folder = Path.Combine(own.Parent!.Parent!.FullName, project, own.Name);
        var assembly = Path.Combine(folder, program + ".dll");
        if (!File.Exists(assembly))
            throw new HostException($"{assembly} is missing. Build everything first: dotnet build");
        return new Launch(DotNet(), [assembly, .. arguments]) { WorkingDirectory = folder, Environment = environment };
    }

    /// <summary>The dotnet program that runs this process, so that the others run on the same .NET.</summary>
    private static string DotNet()
    {
        // <root>/shared/Microsoft.NETCore.App/<version>/
        var runtime = new DirectoryInfo(RuntimeEnvironment.GetRuntimeDirectory());
        var dotnet = Path.Combine(runtime.Parent!.Parent!.Parent!.FullName, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet");
        return File.Exists(dotnet)
            ? dotnet
            : SearchPath.Find("dotnet") ?? throw new HostException("The program 'dotnet' was not found. Install the .NET SDK and put it on the PATH.");
    }
}
