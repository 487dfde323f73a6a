using Labeling.Web.Labels;

namespace Labeling.Web.Tests.Labels;

public sealed class WordDiffTests
{
    [Fact]
    public void Each_side_keeps_its_whole_text_and_marks_only_its_own_words()
    {
        const string Left = "The capital of France is Paris, a large city.\nIt lies on the Seine.";
        const string Right = "The capital of France is Lyon, a large city.\nIt lies on the Rhône.";
        var (left, right) = WordDiff.Between(Left, Right)!.Value;

        Assert.Equal(Left, string.Concat(left.Select(p => p.Text)));
        Assert.Equal(Right, string.Concat(right.Select(p => p.Text)));
        Assert.Equal(["Paris", "Seine"], left.Where(p => p.OnlyHere).Select(p => p.Text));
        Assert.Equal(["Lyon", "Rhône"], right.Where(p => p.OnlyHere).Select(p => p.Text));
    }

    [Fact]
    public void Very_long_texts_are_not_compared() => Assert.Null(WordDiff.Between(new string('a', WordDiff.MaxCharacters + 1), "b"));
}
