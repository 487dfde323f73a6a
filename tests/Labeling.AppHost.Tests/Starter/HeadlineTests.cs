using System.Diagnostics;
using System.Text.Json;

namespace Labeling.AppHost.Tests.Starter;

/// <summary>The headline benchmark on very little of everything: what it reaches is left to chance; that it plays, goes on where it stopped and measures is not.</summary>
public sealed class HeadlineTests : IDisposable
{
    private static readonly string[] Steps = ["small-primer", "small-base", "sft", "answers", "reward", "ppo", "large-primer", "large-base", "comparison", "prompted"];

    private readonly TemporaryFolder folder = new();

    private string Root => Path.Combine(folder.Path, "headline");

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task A_quick_headline_stopped_and_killed_goes_on_and_reports_its_figures()
    {
        await using (HostProcess asked = await StartAsync(before: "large-primer", steps: 2))
        {
            Assert.Equal(3, await asked.StopAsync(HostProcess.Interrupt));
            Assert.Contains("To go on", asked.Output, StringComparison.Ordinal);
        }
        Dictionary<string, DateTime> finished = Steps[..6].ToDictionary(s => s, ResultTime);
        await using (HostProcess killed = await StartAsync(before: "large-base", steps: 6))
            Assert.NotEqual(0, await killed.StopAsync(HostProcess.KillSignal));
        await using HostProcess last = Start();
        Assert.True(await last.WaitForExitAsync() == 0, last.Output);

        foreach (string step in Steps[..7])
            Assert.Contains($"{step} was done before", last.Output, StringComparison.Ordinal);
        Assert.All(finished, f => Assert.Equal(f.Value, ResultTime(f.Key)));
        foreach (string step in (string[])["large-primer", "large-base"])
            Assert.Contains("Going on after step", await File.ReadAllTextAsync(Path.Combine(Root, step, "log.txt")), StringComparison.Ordinal);

        using JsonDocument json = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(Root, "headline.json")));
        Assert.InRange(json.RootElement.GetProperty("ratio").GetDouble(), 100, 1000);
        foreach (JsonProperty wins in json.RootElement.GetProperty("win_rates").EnumerateObject())
        {
            double low = wins.Value.GetProperty("low").GetDouble(), high = wins.Value.GetProperty("high").GetDouble();
            Assert.True(low is >= 0 and <= 1 && high is >= 0 and <= 1, $"{wins.Name}: {low} to {high}");
            Assert.InRange(wins.Value.GetProperty("value").GetDouble(), low, high);
            Assert.Equal(60, wins.Value.GetProperty("n").GetInt32());
        }
        Assert.True(json.RootElement.GetProperty("win_rates").TryGetProperty("ppo over large-base", out _));
        foreach (string model in (string[])["small-base", "sft", "ppo", "large-base", "large-base, prompted"])
        {
            JsonElement figures = json.RootElement.GetProperty("models").GetProperty(model);
            double form = figures.GetProperty("form").GetDouble(), correctness = figures.GetProperty("correctness").GetDouble();
            Assert.Equal((2.0 * form) + (0.4 * correctness), figures.GetProperty("utility").GetDouble(), 9);
        }
        Assert.All(Steps, s => Assert.True(json.RootElement.GetProperty("seconds").GetProperty(s).GetDouble() > 0));
        Assert.Contains("\"Case\":\"ppo over large-base\"", last.Output, StringComparison.Ordinal);
    }

    private HostProcess Start() => HostProcess.StartProgram("Labeling.Benchmarks", "headline", Root, "--quick");

    /// <summary>Starts and waits until a step has trained for some steps of its own.</summary>
    private async Task<HostProcess> StartAsync(string before, int steps)
    {
        HostProcess benchmark = Start();
        await benchmark.WaitForLineAsync($"{before} begins");
        string metrics = Path.Combine(Root, before, "metrics.jsonl");
        for (Stopwatch waited = Stopwatch.StartNew(); !File.Exists(metrics) || Lines(metrics) < steps;)
        {
            Assert.True(waited.Elapsed < HostProcess.Patience, benchmark.Output);
            await Task.Delay(10);
        }
        return benchmark;
    }

    private static int Lines(string file)
    {
        using FileStream shared = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using StreamReader reader = new(shared);
        return reader.ReadToEnd().Count(c => c == '\n');
    }

    private DateTime ResultTime(string step) => File.GetLastWriteTimeUtc(Path.Combine(Root, step, "result.json"));
}
