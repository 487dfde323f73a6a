using Labeling.Training.Data;
using Labeling.Training.Runs;

namespace Labeling.Training.Tests.Data;

public sealed class RowsTests : IDisposable
{
    private readonly string file = Path.GetTempFileName();

    public void Dispose() => File.Delete(file);

    [Theory]
    [InlineData("{\"prompt\":", "not valid JSON")]
    [InlineData("[1]", "must be a JSON object")]
    [InlineData("{\"completion\":[]}", "field 'prompt' is missing")]
    [InlineData("{\"prompt\":\"hi\",\"completion\":[]}", "field 'prompt' is missing or not a list")]
    [InlineData("{\"prompt\":[],\"completion\":[]}", "'prompt' is empty")]
    [InlineData("{\"prompt\":[{\"role\":\"user\",\"content\":\"\"}],\"completion\":[]}", "'prompt' is empty")]
    [InlineData("{\"prompt\":[{\"role\":\"bot\",\"content\":\"x\"}],\"completion\":[]}", "prompt[0].role is 'bot'")]
    [InlineData("{\"prompt\":[{\"role\":\"user\",\"content\":5}],\"completion\":[]}", "'prompt[0].content' is missing or not text")]
    [InlineData("{\"prompt\":[{\"role\":\"user\",\"content\":\"x\\ud800\"}],\"completion\":[]}", "surrogate")]
    [InlineData("{\"prompt\":[{\"role\":\"user\",\"content\":\"x\"}],\"completion\":[]}", "'completion' must hold exactly one message")]
    [InlineData("{\"prompt\":[{\"role\":\"user\",\"content\":\"x\"}]}", "field 'completion' is missing")]
    [InlineData("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "needs at least one assistant message")]
    public void A_bad_demonstration_is_named_with_file_line_and_reason(string row, string reason)
    {
        File.WriteAllText(file, "{\"prompt\":[{\"role\":\"user\",\"content\":\"x\"}],\"completion\":[{\"role\":\"assistant\",\"content\":\"y\"}]}\n\n" + row + "\n");
        var message = Assert.Throws<BadInputException>(() => Rows.Demonstrations([file], "run.json")).Message;
        Assert.StartsWith($"{Path.GetFileName(file)}:3: ", message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[{\"completion\":[{\"role\":\"assistant\",\"content\":\"a\"}],\"rank\":1}]", "needs at least 2 completions and this one has 1")]
    [InlineData("[{\"completion\":[{\"role\":\"assistant\",\"content\":\"a\"}],\"rank\":0},{\"completion\":[{\"role\":\"assistant\",\"content\":\"b\"}],\"rank\":1}]", "completions[0].rank")]
    [InlineData("5", "field 'completions'")]
    public void A_bad_ranking_is_named(string completions, string reason)
    {
        File.WriteAllText(file, $"{{\"prompt\":[{{\"role\":\"user\",\"content\":\"x\"}}],\"completions\":{completions}}}\n");
        Assert.Contains(reason, Assert.Throws<BadInputException>(() => Rows.Rankings([file], "run.json")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_assistant_turn_of_a_conversation_is_a_demonstration()
    {
        File.WriteAllText(file, """{"id":"c","messages":[{"role":"system","content":"s"},{"role":"user","content":"1"},{"role":"assistant","content":"one"},{"role":"user","content":"2"},{"role":"assistant","content":"two"}]}""");
        var rows = Rows.Demonstrations([file], "run.json");
        Assert.Equal(["one", "two"], rows.Select(r => r.Completion.Content));
        Assert.Equal([2, 4], rows.Select(r => r.Prompt.Count));
    }

    [Fact]
    public void A_conversation_can_be_one_row_that_learns_every_turn_or_the_last()
    {
        File.WriteAllText(file, """{"id":"c","messages":[{"role":"user","content":"1"},{"role":"assistant","content":"one"},{"role":"user","content":"2"},{"role":"assistant","content":"two"},{"role":"user","content":"bye"}]}""");
        var all = Assert.Single(Rows.Demonstrations([file], "run.json", turns: "all"));
        Assert.Equal(("c", "two", 3, true), (all.Id, all.Completion.Content, all.Prompt.Count, all.EveryTurn));
        var last = Assert.Single(Rows.Demonstrations([file], "run.json", turns: "last"));
        Assert.Equal(("two", false), (last.Completion.Content, last.EveryTurn));
    }

    [Theory]
    [InlineData("\"strength\":5", "strength is 5; it must be 1")]
    [InlineData("\"strength\":\"much\"", "strength is \"much\"")]
    [InlineData("\"labeler\":7", "'labeler' is missing or not text")]
    public void What_a_ranking_says_about_itself_is_checked(string field, string reason)
    {
        File.WriteAllText(file, Ranking(field, "1"));
        Assert.Contains(reason, Assert.Throws<BadInputException>(() => Rows.Rankings([file], "run.json")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Labeler_strength_and_demonstrations_are_read()
    {
        File.WriteAllText(file, Ranking("\"strength\":3,\"labeler\":\"ann\"", "1,\"demonstration\":true") + "\n" + Ranking("\"strength\":null", "1"));
        var rows = Rows.Rankings([file], "run.json");
        Assert.Equal((3, "ann"), (rows[0].Strength, rows[0].Labeler));
        Assert.Equal([true, false], rows[0].Completions.Select(c => c.Demonstration));
        Assert.Equal(((int?)null, (string?)null), (rows[1].Strength, rows[1].Labeler));
        File.WriteAllText(file, Ranking("\"strength\":3", "1,\"demonstration\":1"));
        Assert.Contains("completions[0].demonstration must be true or false", Assert.Throws<BadInputException>(() => Rows.Rankings([file], "run.json")).Message, StringComparison.Ordinal);
    }

    private static string Ranking(string field, string rank) =>
        $$"""{{{field}},"prompt":[{"role":"user","content":"x"}],"completions":[{"completion":[{"role":"assistant","content":"a"}],"rank":{{rank}}},{"completion":[{"role":"assistant","content":"b"}],"rank":2}]}""";

    [Fact]
    public void An_empty_file_and_no_file_are_refused()
    {
        Assert.Contains("has no rows", Assert.Throws<BadInputException>(() => Rows.Texts([file], "run.json")).Message, StringComparison.Ordinal);
        Assert.Contains("'train'", Assert.Throws<BadInputException>(() => Rows.Texts([], "run.json")).Message, StringComparison.Ordinal);
    }
}
