using System.Text.Json;
using Labeling.Core.Model;

namespace Labeling.Worker.Tests;

public sealed class SampledAnswersTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();
    private readonly Guid _model = Guid.CreateVersion7();

    public void Dispose() => File.Delete(_file);

    private SampledAnswers Read(params (Guid Prompt, int Index, string Text)[] rows)
    {
        File.WriteAllLines(_file, rows.Select(row => JsonSerializer.Serialize(new
        {
            prompt_id = row.Prompt,
            model_id = _model,
            index = row.Index,
            completion = row.Text,
            finish_reason = "stop",
            tokens = 3,
            seed = 5,
        })));
        var run = new TrainingRun { Name = "r", Hyperparameters = "{}", CreateRankingTasks = true, Models = [new() { ModelId = _model, Role = RunModelRole.Sampled }] };
        return new(run, new(1, 1), _file);
    }

    [Fact]
    public void Equal_texts_are_shown_once_and_a_prompt_with_one_text_gets_no_task()
    {
        var (mixed, same) = (Guid.CreateVersion7(), Guid.CreateVersion7());
        var read = Read((mixed, 0, "a"), (mixed, 1, "b"), (mixed, 2, "a"), (same, 0, "x"), (same, 1, "x"));

        Assert.Equal("5 answers; 1 ranking tasks, 1 prompts without one because all their answers are the same.", read.Summary);
    }

    [Fact]
    public void An_answer_that_a_resumed_trainer_wrote_twice_is_one_answer()
    {
        var prompt = Guid.CreateVersion7();
        Assert.StartsWith("2 answers;", Read((prompt, 0, "a"), (prompt, 1, "b"), (prompt, 0, "a")).Summary, StringComparison.Ordinal);
    }

    [Fact]
    public void Texts_that_differ_only_in_what_cannot_be_stored_are_the_same()
    {
        var prompt = Guid.CreateVersion7();
        Assert.Contains("0 ranking tasks", Read((prompt, 0, "a\0"), (prompt, 1, "a\uFFFD")).Summary, StringComparison.Ordinal);
    }

    [Fact]
    public void A_torn_file_is_named_with_its_line()
    {
        File.WriteAllText(_file, "{}\n{\"prompt");
        var error = Assert.Throws<InvalidDataException>(() => JsonLines.Read(_file).Count());
        Assert.Contains("Line 2", error.Message, StringComparison.Ordinal);
    }
}
