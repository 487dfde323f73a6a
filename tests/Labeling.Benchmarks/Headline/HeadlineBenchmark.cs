using Labeling.AppHost;
using Labeling.AppHost.Starter;
using Labeling.AppHost.Supervision;
using Labeling.Training.Native;

namespace Labeling.Benchmarks.Headline;

/// <summary>
/// The seed of this field (InstructGPT, arXiv 2203.02155, section 4.1): people preferred a 1.3 B model trained with their feedback over a 175 B one without. The same on the
/// starter world: a small model after SFT, reward model and PPO against a base model of a hundred times its parameters, pre-trained on the same text.
/// </summary>
internal static class HeadlineBenchmark
{
    private const int Stopped = 3;

    /// <summary>Plays what is not yet played in a folder and reports; answers the exit code.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        HeadlinePlan asked = arguments.Contains("--quick") ? HeadlinePlan.Quick : HeadlinePlan.Full;
        string root = Path.GetFullPath(arguments.FirstOrDefault(a => a != "--quick") ?? Path.Combine(
            Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.Create), "Labeling", $"headline-{asked.Name}"));
        Console.WriteLine($"The steps and what comes out are kept in {root}");
        LibTorch.Initialize();
        using StopSignal stop = new();
        try
        {
            HeadlineResult result = await PlayAsync(root, asked, stop.Token);
            await File.WriteAllTextAsync(Path.Combine(root, "headline.json"), result.ToJson() + "\n", stop.Token);
            Report.Print("headline", result.Measurements());
            return 0;
        }
        catch (OperationCanceledException) when (stop.Token.IsCancellationRequested)
        {
            Console.WriteLine($"""
                Stopped; the step it was in has a checkpoint. To go on:
                  dotnet run -c Release --project tests/Labeling.Benchmarks -- headline "{root}"{(asked.Name == "quick" ? " --quick" : "")}
                """);
            return Stopped;
        }
        catch (HostException error)
        {
            await Console.Error.WriteLineAsync(error.Message);
            return 1;
        }
    }

    private static async Task<HeadlineResult> PlayAsync(string root, HeadlinePlan asked, CancellationToken cancel)
    {
        Directory.CreateDirectory(root);
        using FileStream held = Hold(Path.Combine(root, "headline.lock"));
        HeadlinePlan plan = HeadlinePlan.Open(root, asked, Console.WriteLine);
        HeadlineSteps steps = new(plan, root);
        IReadOnlyList<HeadlineStep> all = steps.All;
        HeadlineProgress progress = new(all, root);
        using Guard guard = new();
        for (int i = 0; i < all.Count; i++)
        {
            string folder = Directory.CreateDirectory(Path.Combine(root, all[i].Name)).FullName;
            if (TrainerRun.Result(folder) is not null)
            {
                progress.Found(i);
                continue;
            }
            progress.Begin(i);
            await TrainerRun.RunAsync(folder, all[i].Stage, all[i].Prepare(folder), guard, _ => progress.Look(), cancel);
            progress.End();
        }
        return HeadlineResult.Judge(plan, root, steps, all.ToDictionary(s => s.Name, s => Math.Round(progress.Seconds(s.Name), 1)));
    }

    private static FileStream Hold(string file)
    {
        try
        {
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException error)
        {
            throw new HostException($"Another process is playing in this folder (it holds {file}).", error);
        }
    }
}
