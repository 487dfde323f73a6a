using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Data;

public class TokenBatchTests
{
    public TokenBatchTests() => LibTorch.Initialize();

    /// <summary>A row's log-probabilities are the same alone and in a padded batch, and the same as from the full logits.</summary>
    [Fact]
    public void Padding_and_selecting_rows_change_nothing()
    {
        using var scope = NewDisposeScope();
        using var frozen = no_grad();
        using var model = CausalLm.New(ModelConfig.Gpt2(50, 16, 2, 2, 32), seed: 1);
        Sequence[] rows = [new([1, 2, 3, 4, 5, 6, 7], 3), new([9, 8, 7], 1), new([5, 5, 5, 5, 49], 4)];
        var together = TokenBatch.LogProbs(TokenBatch.Logits(model, rows, padId: 0), TokenBatch.Targets(rows)).data<float>().ToArray();
        Assert.Equal(4 + 2 + 1, together.Length);
        var n = 0;
        foreach (var row in rows)
        {
            var all = nn.functional.log_softmax(model.Logits(model.Hidden(tensor(row.Ids.Select(i => (long)i).ToArray(), [1, row.Ids.Length]))), -1);
            for (var t = row.From; t < row.Ids.Length; t++)
            {
                Assert.Equal(all[0, t - 1, row.Ids[t]].item<float>(), together[n++], 1e-5);
            }
        }
    }

    [Fact]
    public void Loss_of_zero_logits_is_the_logarithm_of_the_vocabulary()
    {
        using var scope = NewDisposeScope();
        var loss = -TokenBatch.LogProbs(zeros(1, 50257), tensor(new long[] { 7 }));
        Assert.Equal(10.82491, loss.item<float>(), 1e-4);
    }
}
