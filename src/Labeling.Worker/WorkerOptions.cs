using System.Globalization;
using System.Runtime.InteropServices;
using Labeling.Core;
using Microsoft.Extensions.Configuration;

namespace Labeling.Worker;

/// <summary>The worker's configuration, checked at the start.</summary>
/// <param name="RunsFolder">One folder per run, named by its id.</param>
/// <param name="Trainer">The command that starts the trainer: a program, or dotnet and an assembly.</param>
/// <param name="Threads">Threads of each trainer; 0 = one per core.</param>
/// <param name="ParentPid">The process this one must not outlive.</param>
public sealed record WorkerOptions(string RunsFolder, IReadOnlyList<string> Trainer, int Threads, int? ParentPid)
{
    /// <summary>How long a trainer that was asked to stop may take to write its checkpoint.</summary>
    public static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(20);

    /// <summary>Names this worker in leases and logs.</summary>
    public string Name { get; } = $"{Environment.MachineName}:{Environment.ProcessId}";

    /// <exception cref="InvalidOperationException">Something is missing or wrong; the message says what to set.</exception>
    public static WorkerOptions Read(IConfiguration configuration) => new(
        Path.Combine(LabelingCore.DataFolder(configuration), "runs"),
        FindTrainer(configuration["Labeling:TrainerPath"]),
        Number(configuration, "Labeling:TrainerThreads") ?? 0,
        Number(configuration, "Labeling:ParentPid"));

    private static int? Number(IConfiguration configuration, string key) => configuration[key] switch
    {
        null or "" => null,
        var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => number,
        var text => throw new InvalidOperationException($"{key.Replace(":", "__", StringComparison.Ordinal)} has to be a whole number, not \"{text}\"."),
    };

    private static string[] FindTrainer(string? configured)
    {
        if (!string.IsNullOrEmpty(configured))
            return File.Exists(configured) ? Command(Path.GetFullPath(configured)) : throw new InvalidOperationException($"Labeling__TrainerPath names {configured}, which does not exist.");
        var here = Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);
        string[] places =
        [
            Path.Combine(here, "labeling-train.dll"),
            Path.Combine(here, "..", "trainer", "labeling-train.dll"),
            // The build's layout: bin/<project>/<configuration>/
            Path.Combine(here, "..", "..", "Labeling.Training.Cli", Path.GetFileName(here), "labeling-train.dll"),
        ];
        return places.FirstOrDefault(File.Exists) is { } found
            ? Command(Path.GetFullPath(found))
            : throw new InvalidOperationException($"The trainer was not found beside the worker in {here}. Set Labeling__TrainerPath to labeling-train.dll.");
    }

    private static string[] Command(string path) => path.EndsWith(".dll", StringComparison.OrdinalIgnoreCase) ? [DotnetHost(), path] : [path];

    /// <summary>The dotnet that runs this process: another one may lack the runtime.</summary>
    private static string DotnetHost()
    {
        var program = OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet";
        var beside = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", program));
        return File.Exists(beside) ? beside : program;
    }
}
