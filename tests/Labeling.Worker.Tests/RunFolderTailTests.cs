using System.Text;

namespace Labeling.Worker.Tests;

public sealed class RunFolderTailTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("labeling-tail-").FullName;
    private readonly RunFolderTail _tail;

    public RunFolderTailTests() => _tail = new(_folder);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Metrics => Path.Combine(_folder, "metrics.jsonl");

    private static string Line(int step, double loss = 1, int second = 0) => $$"""{"step":{{step}},"time":"2026-01-01T00:00:{{second:00}}Z","loss":{{loss}}}""" + "\n";

    [Fact]
    public void New_lines_come_once_and_a_cut_line_waits_for_its_end()
    {
        File.WriteAllText(Metrics, Line(1) + Line(2) + """{"step":3,"ti""");
        Assert.Equal([1, 2], _tail.Read()!.Metrics.Select(line => line.Step));
        Assert.Null(_tail.Read());

        File.AppendAllText(Metrics, "me\":\"2026-01-01T00:00:03+02:00\",\"loss\":0.1,\"note\":\"x\",\"lr\":1e-3}\n");
        var line = Assert.Single(_tail.Read()!.Metrics);

        Assert.Equal((3, """{"loss":0.1,"lr":1e-3}"""), (line.Step, line.Values));
        Assert.Equal(new DateTimeOffset(2025, 12, 31, 22, 0, 3, TimeSpan.Zero), line.Time);
    }

    [Fact]
    public void A_resumed_trainer_that_cut_its_file_makes_the_later_steps_untrue()
    {
        File.WriteAllText(Metrics, string.Concat(Enumerable.Range(1, 9).Select(step => Line(step))));
        _tail.Read();

        File.WriteAllText(Metrics, string.Concat(Enumerable.Range(1, 4).Select(step => Line(step))));
        var report = _tail.Read()!;

        Assert.Equal(4, report.ForgetAfterStep);
        Assert.Equal([1, 2, 3, 4], report.Metrics.Select(line => line.Step));
        File.AppendAllText(Metrics, Line(5, 0.5));
        report = _tail.Read()!;
        Assert.Equal((null, 5), (report.ForgetAfterStep, report.Metrics.Single().Step));
    }

    [Fact]
    public void A_file_that_was_cut_and_grew_beyond_the_old_end_between_two_looks_is_noticed()
    {
        File.WriteAllText(Metrics, string.Concat(Enumerable.Range(1, 5).Select(step => Line(step))));
        _tail.Read();

        File.WriteAllText(Metrics, string.Concat(Enumerable.Range(1, 3).Select(step => Line(step))) + string.Concat(Enumerable.Range(4, 6).Select(step => Line(step, 2, 30))));
        var report = _tail.Read()!;

        Assert.Equal(Enumerable.Range(1, 9), report.Metrics.Select(line => line.Step));
        Assert.Equal(9, report.ForgetAfterStep);
        Assert.Equal("""{"loss":2}""", report.Metrics[4].Values);
    }

    [Fact]
    public void A_run_that_starts_anew_forgets_what_an_earlier_attempt_reported()
    {
        Assert.Equal(0, _tail.Read()!.ForgetAfterStep);
        Assert.Null(_tail.Read());
    }

    [Fact]
    public void Torn_and_foreign_lines_are_passed_over()
    {
        File.WriteAllText(Metrics, Line(1) + "{\"step\":2,\"ti\n" + "\0\0\0\n" + """{"step":-1,"time":"2026-01-01T00:00:00Z"}""" + "\n[]\n" + Line(3));
        Assert.Equal([1, 3], _tail.Read()!.Metrics.Select(line => line.Step));
    }

    [Fact]
    public void Progress_is_told_when_it_changes_and_a_half_written_file_is_no_news()
    {
        File.WriteAllText(Path.Combine(_folder, "progress.json"), """{"step":1,"total_steps":9,"phase":"training","time":"x"}""");
        Assert.Equal(new(1, 9, "training"), _tail.Read()!.Progress);
        File.WriteAllText(Path.Combine(_folder, "progress.json"), """{"step":""");
        Assert.Null(_tail.Read());
        File.WriteAllText(Path.Combine(_folder, "progress.json"), """{"step":2,"total_steps":null,"phase":"done"}""");
        Assert.Equal(new(2, null, "done"), _tail.Read()!.Progress);
    }

    [Fact]
    public void The_log_is_its_last_lines_whole_and_storable()
    {
        _tail.Read();
        var log = Path.Combine(_folder, "log.txt");
        File.WriteAllText(log, string.Concat(Enumerable.Range(0, 2000).Select(i => $"line {i} äöü\n")) + "bad \0 character\n");
        var tail = _tail.Read()!.LogTail!;

        Assert.EndsWith("line 1999 äöü\nbad \uFFFD character", tail, StringComparison.Ordinal);
        Assert.StartsWith("line ", tail, StringComparison.Ordinal);
        Assert.InRange(Encoding.UTF8.GetByteCount(tail), 10_000, 16_100);
        Assert.Null(_tail.Read());
    }
}
