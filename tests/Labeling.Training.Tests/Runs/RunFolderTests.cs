using Labeling.Training.Runs;

namespace Labeling.Training.Tests.Runs;

public sealed class RunFolderTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("run");

    public RunFolderTests() => File.WriteAllText(Path.Combine(folder.FullName, "run.json"), """{"schema":1,"stage":"sft"}""");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void Going_on_removes_later_steps_and_a_line_cut_by_a_kill()
    {
        using var run = new RunFolder(folder.FullName);
        File.WriteAllText(run.In("metrics.jsonl"), "{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2}\n{\"step\":3,\"loss\":1}\n{\"step\":4,\"lo");
        run.TruncateAfter("metrics.jsonl", 2);
        run.Metrics(3, new Dictionary<string, double> { ["loss"] = 0.5 });
        Assert.Equal(0.5, run.LastMetrics()["loss"]);
        Assert.Equal(["1", "2", "3"], File.ReadAllLines(run.In("metrics.jsonl")).Select(l => l[8..9]));
    }

    [Fact]
    public void A_number_that_is_none_is_refused_by_name()
    {
        using var run = new RunFolder(folder.FullName);
        Assert.Contains("loss is NaN", Assert.Throws<NonFiniteException>(() => run.Metrics(3, new Dictionary<string, double> { ["loss"] = double.NaN })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void One_process_at_a_time_holds_the_folder()
    {
        using (new RunFolder(folder.FullName))
        {
            Assert.Contains("Another process", Assert.Throws<IOException>(() => new RunFolder(folder.FullName)).Message, StringComparison.Ordinal);
        }
        new RunFolder(folder.FullName).Dispose();
    }

    [Fact]
    public void Default_learning_rates_pass_through_the_tuned_and_the_published_point()
    {
        Assert.Equal(1e-3, LearningRates.Sft(1_000_000), 1e-9);
        Assert.Equal(9.65e-6, LearningRates.Sft(1_300_000_000), 1e-11);
        Assert.Equal(9e-6, LearningRates.Reward(6_000_000_000), 1e-11);
        Assert.True(LearningRates.Sft(3_000_000) < 1e-3);
    }

    [Fact]
    public void Seeds_differ_by_place_and_repeat()
    {
        Assert.Equal(Seeds.Derive(1, 2, 3), Seeds.Derive(1, 2, 3));
        Assert.Equal(6, new[] { Seeds.Derive(1, 2, 3), Seeds.Derive(1, 3, 2), Seeds.Derive(2, 2, 3), Seeds.Derive(1, 2), Seeds.Derive(1), Seeds.Derive(0, 0) }.Distinct().Count());
        Assert.Equal(Enumerable.Range(0, 100), Seeds.Permutation(100, 9).Order());
    }
}
