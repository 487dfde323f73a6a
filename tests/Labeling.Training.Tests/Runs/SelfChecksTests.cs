using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Native;
using Labeling.Training.RewardModeling;
using Labeling.Training.Runs;
using Labeling.Training.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Runs;

public sealed class SelfChecksTests : IDisposable
{
    private readonly DisposeScope scope;

    public SelfChecksTests()
    {
        LibTorch.Initialize();
        scope = NewDisposeScope();
    }

    public void Dispose() => scope.Dispose();

    [Fact]
    public void Every_family_gives_the_same_however_it_is_padded()
    {
        Assert.All(GoldenFolder.Models("causal-lm"), folder =>
        {
            using var model = CausalLm.Load(folder);
            SelfChecks.Padding(model, [5, 6, 7, 8], 3, 0);
            Assert.All(model.Parameters.Values, p => Assert.Null(p.grad));
        });
        Assert.All(GoldenFolder.Models("reward"), folder =>
        {
            using var model = RewardModel.Load(folder);
            SelfChecks.Padding(model, [5, 6, 7, 8], 3, 3);
            using var value = ValueModel.From(model);
            SelfChecks.Padding(value, [5, 6, 7, 8], 3, 3);
        });
    }

    /// <summary>Each of these mistakes was made by somebody's trainer.</summary>
    [Theory]
    [InlineData("no mask")]
    [InlineData("mean over padding")]
    [InlineData("end token instead of last token")]
    public void A_score_that_reads_padding_or_the_wrong_token_is_found(string mistake)
    {
        using var model = RewardModel.From(CausalLm.New(ModelConfig.Gpt2(50, 16, 2, 2, 32), 1), 2);
        using var values = ValueModel.From(model);
        int[][] rows = [[5, 3, 7, 8], [9, 3, 11, 12, 13, 3]];
        var (ids, mask) = (TokenBatch.Ids(rows, 3), TokenBatch.Mask(rows));
        (string, Func<Tensor>) alone = ("each row alone", () => rows.Select(r => model.Rewards(TokenBatch.Ids([r], 3)).sum()).Aggregate((a, b) => a + b));
        SelfChecks.Same("the score", model.Config, model.Parameters, [alone, ("together", () => model.Rewards(ids, mask).sum())]);
        Func<Tensor> wrong = mistake switch
        {
            "no mask" => () => model.Rewards(ids).sum(),
            "mean over padding" => () => values.Values(ids, mask).sum() / 6,
            _ => () => values.Values(ids, mask).index_select(1, tensor(new long[] { 1 })).sum(),
        };
        Assert.Contains("'each row alone' and 'together' give", Assert.Throws<SelfCheckException>(() => SelfChecks.Same("the score", model.Config, model.Parameters, [alone, ("together", wrong)])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_gradient_behind_a_right_loss_is_found()
    {
        using var model = CausalLm.New(ModelConfig.Gpt2(50, 16, 2, 2, 32), 1);
        Sequence[] rows = [new([1, 2, 3, 4], 1), new([5, 6, 7], 1)];
        Tensor Loss() => nn.functional.cross_entropy(TokenBatch.Logits(model, rows, 0), TokenBatch.Targets(rows));
        var error = Assert.Throws<SelfCheckException>(() => SelfChecks.Same("the loss", model.Config, model.Parameters, [("right", Loss), ("doubled", () => (2 * Loss()) - Loss().detach())]));
        Assert.Contains("gradients", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Micro_batches_of_rankings_have_the_loss_and_gradient_of_the_whole()
    {
        using var model = RewardModel.From(CausalLm.New(ModelConfig.Gpt2(50, 16, 2, 2, 32), 1), 2);
        int[][][] rankings = [[[1, 2, 3], [1, 2, 4, 5], [1, 2]], [[7, 8, 9, 10, 11], [7, 8]], [[12, 13], [12, 14, 15], [12, 16], [12, 17, 18, 19]]];
        int[][] ranks = [[1, 2, 2], [2, 1], [1, 2, 3, 4]];
        Tensor Part(int from, int count)
        {
            var rows = rankings.Skip(from).Take(count).SelectMany(r => r).ToList();
            var pairs = new List<RankedPair>();
            for (var (i, offset) = (from, 0); i < from + count; offset += rankings[i++].Length)
            {
                pairs.AddRange(RankingLoss.Pairs(ranks[i], offset));
            }
            return RankingLoss.Compute(model.Rewards(TokenBatch.Ids(rows, 0), TokenBatch.Mask(rows)), pairs, rankings.Length).Loss;
        }

        SelfChecks.Same("the ranking loss", model.Config, model.Parameters, [("whole", () => Part(0, 3)), ("in parts", () => Part(0, 1) + Part(1, 1) + Part(2, 1)), ("in unequal parts", () => Part(0, 2) + Part(2, 1))]);
    }

    [Fact]
    public void The_tensor_that_is_not_finite_is_named()
    {
        var tensors = new Dictionary<string, Tensor> { ["model/a"] = ones(3), ["model/b"] = ones(2, 2), ["model/large"] = full([8], 3e38f) };
        Finite.Tensors(tensors, 4);
        tensors["model/b"][1, 0] = float.NaN;
        Assert.StartsWith("Step 4: the tensor model/b holds a number that is not finite", Assert.Throws<NonFiniteException>(() => Finite.Tensors(tensors, 4)).Message, StringComparison.Ordinal);
        tensors["model/b"][1, 0] = float.NegativeInfinity;
        Assert.Throws<NonFiniteException>(() => Finite.Tensors(tensors, 4));
    }
}
