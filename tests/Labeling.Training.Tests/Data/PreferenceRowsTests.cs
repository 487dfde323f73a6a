using Labeling.Training.Data;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Tests.Data;

public sealed class PreferenceRowsTests : IDisposable
{
    private const string Ranking = """{"prompt":[{"role":"user","content":"q"}],"completions":[{"completion":[{"role":"assistant","content":"a"}],"rank":2},{"completion":[{"role":"assistant","content":"b"}],"rank":1},{"completion":[{"role":"assistant","content":"c"}],"rank":3},{"completion":[{"role":"assistant","content":"d"}],"rank":3}],"strength":3}""";
    private const string Ties = """{"prompt":[{"role":"user","content":"q"}],"completions":[{"completion":[{"role":"assistant","content":"a"}],"rank":1},{"completion":[{"role":"assistant","content":"b"}],"rank":1}]}""";

    private readonly string file = Path.GetTempFileName();

    public void Dispose() => File.Delete(file);

    [Theory]
    [InlineData("""{"prompt":"q","chosen":"yes","rejected":"no"}""")]
    [InlineData("""{"prompt":[{"role":"user","content":"q"}],"chosen":[{"role":"assistant","content":"yes"}],"rejected":[{"role":"assistant","content":"no"}]}""")]
    [InlineData("""{"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"yes"}],"rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"no"}]}""")]
    public void All_shapes_of_a_pair_are_the_same_preference(string line)
    {
        File.WriteAllText(file, line);
        var (ranking, strength) = Assert.Single(PreferenceRows.Preferences([file], "run.json"));
        Assert.Equal([new ChatMessage("user", "q")], ranking.Prompt);
        Assert.Equal([("yes", 1), ("no", 2)], ranking.Completions.Select(c => (c.Message.Content, c.Rank)));
        Assert.Null(strength);
    }

    [Fact]
    public void Rankings_are_preferences_and_the_ends_of_a_ranking_are_wanted_and_unwanted()
    {
        File.WriteAllText(file, Ranking + "\n" + Ties + "\n");
        Assert.Equal([3, null], PreferenceRows.Preferences([file], "run.json").Select(r => r.Strength));
        Assert.Equal([("b", true), ("c", false), ("d", false)], PreferenceRows.Unpaired([file], "run.json").Select(r => (r.Completion.Content, r.Desirable)));
        File.WriteAllText(file, Ties);
        Assert.Contains("nothing but ties", Assert.Throws<BadInputException>(() => PreferenceRows.Unpaired([file], "run.json")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_answer_on_both_sides_is_a_tie()
    {
        File.WriteAllText(file, """{"prompt":"q","chosen":"yes","rejected":"yes"}""");
        Assert.Equal([1, 1], PreferenceRows.Preferences([file], "run.json")[0].Ranking.Completions.Select(c => c.Rank));
    }

    [Theory]
    [InlineData("""{"prompt":"q","chosen":"yes"}""", "'rejected' is missing")]
    [InlineData("""{"prompt":"q"}""", "'chosen' is missing; the prompt has no answer")]
    [InlineData("""{"prompt":"q","chosen":"","rejected":"no"}""", "'chosen' is an empty answer")]
    [InlineData("""{"prompt":"","chosen":"yes","rejected":"no"}""", "'prompt' is empty")]
    [InlineData("""{"prompt":5,"chosen":"yes","rejected":"no"}""", "field 'prompt'")]
    [InlineData("""{"prompt":"q","chosen":[],"rejected":"no"}""", "'chosen' must hold exactly one message")]
    [InlineData("""{"chosen":[{"role":"user","content":"a"}],"rejected":[{"role":"user","content":"b"}]}""", "do not begin with the same messages")]
    [InlineData("""{"prompt":"q","chosen":"yes","rejected":"no","strength":5}""", "'strength' must be")]
    [InlineData("""{"prompt":"q","completions":[{"completion":[{"role":"assistant","content":"a"}],"rank":1}]}""", "needs at least 2 completions and this one has 1")]
    public void A_bad_preference_is_named_with_file_line_and_reason(string line, string reason)
    {
        File.WriteAllText(file, "\n" + line + "\n");
        var message = Assert.Throws<BadInputException>(() => PreferenceRows.Preferences([file], "run.json")).Message;
        Assert.StartsWith($"{Path.GetFileName(file)}:2: ", message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"prompt":"q","completion":"yes"}""", "'label' is missing")]
    [InlineData("""{"prompt":"q","completion":"yes","label":"good"}""", "'label' is missing or not true")]
    [InlineData("""{"prompt":"q","label":true}""", "'completion' is missing; the prompt has no answer")]
    public void A_bad_unpaired_row_is_named(string line, string reason)
    {
        File.WriteAllText(file, line);
        Assert.Contains(reason, Assert.Throws<BadInputException>(() => PreferenceRows.Unpaired([file], "run.json")).Message, StringComparison.Ordinal);
    }
}
