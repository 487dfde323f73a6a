using System.CommandLine;
using System.Globalization;
using Labeling.AppHost.Starter;
using Spectre.Console;

namespace Labeling.AppHost.Demo;

/// <summary>The command <c>demo</c>: starts everything, plays the loop, shows what came out, and leaves the site up.</summary>
internal static class DemoCommand
{
    public static Command Create()
    {
        Option<bool> exit = new("--exit") { Description = "End after the loop; exit code 0 only if each stage did its work." };
        Option<FileInfo?> json = new("--json") { Description = "Write the figures to this file." };
        Option<int> seed = new("--seed") { Description = "Seed of the prompts, the people and the training.", DefaultValueFactory = _ => 1 };
        Option<bool> quick = new("--quick") { Description = "Only a little of everything, to see that it works together. Nothing is learned well, and the exit code says only that every stage ended." };
        Command command = new("demo", "Plays the whole loop with scripted people: demonstrations, SFT, rankings, reward model, PPO, blind comparison.");
        command.Options.Add(exit);
        command.Options.Add(json);
        command.Options.Add(seed);
        command.Options.Add(quick);
        command.SetAction((arguments, _) => HostCommand.RunAsync(HostOptions.From(arguments), async (host, screen, cancel) =>
        {
            DemoResult result = await PlayAsync(host, screen, arguments.GetValue(quick) ? DemoPlan.Quick : DemoPlan.Default, arguments.GetValue(seed), cancel);
            if (arguments.GetValue(json) is { } file)
                await File.WriteAllTextAsync(file.FullName, result.ToJson() + "\n", cancel);
            IReadOnlyList<string> failures = arguments.GetValue(quick) ? [] : result.Failures();
            foreach (string failure in failures)
                screen.Warn(failure);
            return arguments.GetValue(exit) ? Math.Min(1, failures.Count) : null;
        }));
        return command;
    }

    private static async Task<DemoResult> PlayAsync(LabelingHost host, Screen screen, DemoPlan plan, int seed, CancellationToken cancel)
    {
        await using DemoPeople people = await DemoPeople.LetInAsync(host, seed, cancel);
        if (people.SignIn is var (email, password))
            screen.Line($"  Watch it: sign in as {email} with the password {password}");
        DemoProgress progress = new(screen);
        DemoResult result = await progress.WatchAsync(() => new DemoLoop(people, plan, seed, progress).PlayAsync(cancel));
        Show(result);
        return result;
    }

    private static void Show(DemoResult result)
    {
        Table figures = new Table().Title("What the loop reached").AddColumns("Figure", "Value", "95 % interval", "n");
        void Row(string name, Interval value) => figures.AddRow(name, Percent(value.Value), $"{Percent(value.Low)} to {Percent(value.High)}", value.N.ToString(CultureInfo.InvariantCulture));
        Row("Reward model against held-out labels", result.RewardAccuracy);
        Row("The hidden truth against the same labels", result.RewardAccuracyOfTruth);
        Row("Reward model against the hidden truth", result.RewardAccuracyAgainstTruth);
        Row("SFT over base, held-out prompts", result.SftWinRate);
        Row("PPO over SFT, held-out prompts", result.PpoWinRate);
        figures.AddRow("KL of PPO from SFT", string.Create(CultureInfo.InvariantCulture, $"{result.Kl:F2} nats"), "", "");
        foreach ((string model, double utility) in result.Truth)
            figures.AddRow($"Hidden quality of {model}", string.Create(CultureInfo.InvariantCulture, $"{utility:F2} of {Quality.Best:F1}"), "", "");
        Table times = new Table().Title("Time").AddColumns("Stage", "Seconds");
        foreach ((string stage, double seconds) in result.Seconds)
            times.AddRow(stage.Replace('_', ' '), seconds.ToString("F1", CultureInfo.InvariantCulture));
        AnsiConsole.Write(figures);
        AnsiConsole.Write(times);
    }

    private static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:F1} %");
}
