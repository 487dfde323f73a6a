using Labeling.Training.Data;
using Labeling.Training.Generation;
using Labeling.Training.Models;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Data;

public class AnswerLogProbsTests
{
    [Fact]
    public void Whole_answers_have_the_log_probability_they_were_sampled_with_whatever_shares_their_batch()
    {
        LibTorch.Initialize();
        using var scope = NewDisposeScope();
        using var model = CausalLm.New(ModelConfig.Gpt2(40, 32, 2, 4, 32, eosTokenId: 3, padTokenId: 3), 5);
        int[][] prompts = [[7], [8, 9, 10, 11, 12, 13], [14, 15, 16]];
        var generated = BatchGenerator.Generate(model, prompts, [1, 2, 3], 12);
        var rows = prompts.Zip(generated, (p, g) => new Sequence([.. p, .. g.Tokens], p.Length)).ToList();
        var sampled = generated.Select(g => g.LogProbabilities.Sum(p => (double)p)).ToList();

        var sums = AnswerLogProbs.Sums(model, rows, 3);
        Assert.All(sums.data<float>().Zip(sampled), x => Assert.Equal(x.Second, x.First, 1e-3));
        Assert.All(AnswerLogProbs.Of(model, rows, 1, 3).Zip(sampled), x => Assert.Equal(x.Second, x.First, 1e-3));
        var tokens = AnswerLogProbs.PerToken(model, rows, 2, 3);
        for (var i = 0; i < rows.Count; i++)
        {
            Assert.Equal(generated[i].LogProbabilities.Length, tokens[i].Length);
            Assert.All(tokens[i].Zip(generated[i].LogProbabilities), x => Assert.Equal(x.Second, x.First, 1e-4));
        }
        sums[1].backward();
        Assert.True(model.Parameters.Values.First().grad!.abs().sum().item<float>() > 0);
    }

    [Fact]
    public void Being_asked_to_stop_ends_a_long_pass()
    {
        LibTorch.Initialize();
        using var model = CausalLm.New(ModelConfig.Gpt2(40, 16, 1, 2, 16), 5);
        Assert.Throws<Labeling.Training.Runs.RunStoppedException>(() => AnswerLogProbs.Of(model, [new Sequence([1, 2, 3], 1)], 1, 0, new CancellationToken(canceled: true)));
    }
}
