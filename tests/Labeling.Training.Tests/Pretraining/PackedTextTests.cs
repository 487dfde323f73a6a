using Labeling.Training.Pretraining;

namespace Labeling.Training.Tests.Pretraining;

public class PackedTextTests
{
    [Fact]
    public void An_epoch_predicts_every_token_but_the_first_once_in_full_windows()
    {
        int[][] documents = [.. Enumerable.Range(0, 20).Select(d => Enumerable.Repeat(d, 7 + d).Append(99).ToArray())];
        var packed = new PackedText(documents, context: 16, batchSize: 4, seed: 5);
        var windows = Enumerable.Range(0, packed.StepsPerEpoch).SelectMany(packed.Batch).ToList();
        Assert.Equal(packed.Tokens - 1, windows.Sum(w => w.Supervised));
        Assert.All(windows.SkipLast(1), w => Assert.Equal(17, w.Ids.Length));
        // Windows overlap by the one token that the next one only reads.
        Assert.All(windows.Zip(windows.Skip(1)), pair => Assert.Equal(pair.First.Ids[^1], pair.Second.Ids[0]));
        var stream = windows[0].Ids.Take(1).Concat(windows.SelectMany(w => w.Ids.Skip(1)));
        Assert.Equal(documents.SelectMany(d => d).Order(), stream.Order());
        Assert.NotEqual(windows[0].Ids, packed.Batch(packed.StepsPerEpoch)[0].Ids);
    }

    [Fact]
    public void Text_shorter_than_the_context_is_one_window()
    {
        var packed = new PackedText([[1, 2, 3]], context: 64, batchSize: 8, seed: 0);
        Assert.Equal([1, 2, 3], Assert.Single(packed.Batch(0)).Ids);
    }
}
