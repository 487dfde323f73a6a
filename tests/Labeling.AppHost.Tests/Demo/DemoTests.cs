using System.Globalization;
using System.Text.Json;

namespace Labeling.AppHost.Tests.Demo;

public sealed class DemoTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    /// <summary>What a loop this short teaches is left to chance; that every stage ran, was measured and was recorded is not.</summary>
    [Fact]
    public async Task A_quick_demo_plays_every_stage_and_writes_what_it_measured()
    {
        string data = Path.Combine(folder.Path, "data"), json = Path.Combine(folder.Path, "figures.json");
        await using HostProcess host = HostProcess.StartCommand(["demo", "--quick", "--exit", "--json", json, "--seed", "3"], data);
        Assert.True(await host.WaitForExitAsync() == 0, host.Output);

        using JsonDocument figures = JsonDocument.Parse(await File.ReadAllTextAsync(json));
        foreach (string name in (string[])["reward_accuracy", "reward_accuracy_of_truth", "sft_win_rate", "ppo_win_rate"])
        {
            JsonElement figure = figures.RootElement.GetProperty(name);
            double value = figure.GetProperty("value").GetDouble();
            Assert.InRange(value, figure.GetProperty("low").GetDouble(), figure.GetProperty("high").GetDouble());
            Assert.InRange(figure.GetProperty("n").GetInt32(), 1, 100);
        }
        Assert.True(double.IsFinite(figures.RootElement.GetProperty("kl").GetDouble()));
        Dictionary<string, double> seconds = figures.RootElement.GetProperty("seconds").EnumerateObject().ToDictionary(s => s.Name, s => s.Value.GetDouble());
        string[] stages = ["demonstrations", "sft", "sample", "rankings", "reward", "ppo", "comparison_sampling", "comparison"];
        Assert.Equal(stages.Append("total").Order(), seconds.Keys.Order());
        Assert.InRange(seconds["total"], stages.Sum(s => seconds[s]) - 0.1, double.MaxValue);
        Assert.Contains("What the loop reached", host.Output, StringComparison.Ordinal);
        Assert.Contains(seconds["sft"].ToString("F1", CultureInfo.InvariantCulture), host.Output, StringComparison.Ordinal);
    }
}
