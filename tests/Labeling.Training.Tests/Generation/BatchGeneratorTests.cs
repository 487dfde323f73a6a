using Labeling.Training.Generation;
using Labeling.Training.Models;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Tests.Generation;

public sealed class BatchGeneratorTests : IDisposable
{
    readonly DisposeScope scope = NewDisposeScope();
    // Wide weights: with the usual 0.02 every distribution would be nearly flat and hide errors.
    readonly CausalLm model = CausalLm.New(ModelConfig.Gpt2(40, 32, 2, 4, 48, eosTokenId: 0) with { InitializerRange = 0.3 }, seed: 3);

    public void Dispose()
    {
        model.Dispose();
        scope.Dispose();
    }

    static int[][] Prompts(int count) => [.. Enumerable.Range(0, count).Select(i => Enumerable.Range(0, 1 + i * 5 % 11).Select(t => 1 + (i * 7 + t * 3) % 39).ToArray())];

    static ulong[] Seeds(int count) => [.. Enumerable.Range(100, count).Select(i => (ulong)i)];

    [Fact]
    public void A_row_is_the_same_alone_and_in_any_batch()
    {
        var prompts = Prompts(12);
        var together = BatchGenerator.Generate(model, prompts, Seeds(12), 20);
        var backwards = BatchGenerator.Generate(model, [.. prompts.Reverse()], [.. Seeds(12).Reverse()], 20);
        // Five places for twelve: the others wait until a row ends.
        var queued = BatchGenerator.Generate(model, prompts, Seeds(12), 20, batchSize: 5);
        for (var i = 0; i < prompts.Length; i++)
        {
            var alone = BatchGenerator.Generate(model, [prompts[i]], [Seeds(12)[i]], 20)[0];
            foreach (var other in new[] { together[i], backwards[11 - i], queued[i] })
            {
                Assert.Equal(alone.Tokens, other.Tokens);
                Assert.Equal(alone.FinishReason, other.FinishReason);
                for (var t = 0; t < alone.Tokens.Length; t++) Assert.Equal(alone.LogProbabilities[t], other.LogProbabilities[t], 1e-4f);
            }
        }
        Assert.Contains(together, r => r.FinishReason == FinishReason.Stop);
        Assert.Contains(together, r => r.FinishReason == FinishReason.Length);
        Assert.Equal(together.Select(r => r.Tokens), BatchGenerator.Generate(model, prompts, Seeds(12), 20).Select(r => r.Tokens));
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(0.6)]
    public void Log_probabilities_are_those_of_a_full_forward_pass(double temperature)
    {
        var prompts = Prompts(6);
        var results = BatchGenerator.Generate(model, prompts, Seeds(6), 16, new SamplingOptions(temperature, TopK: 7, TopP: 0.9));
        using var noGrad = no_grad();
        for (var i = 0; i < prompts.Length; i++)
        {
            var all = prompts[i].Concat(results[i].Tokens).Select(t => (long)t).ToArray();
            var logProbabilities = F.log_softmax(model.Logits(model.Hidden(tensor(all, [1, all.Length]))) / temperature, -1);
            for (var t = 0; t < results[i].Tokens.Length; t++)
                Assert.Equal(logProbabilities[0, prompts[i].Length + t - 1, results[i].Tokens[t]].ToSingle(), results[i].LogProbabilities[t], 1e-4f);
        }
    }

    [Fact]
    public void A_prompt_that_two_steps_read_parts_of_goes_on_as_if_alone()
    {
        var prompts = Enumerable.Range(0, 12).Select(i => Enumerable.Range(0, 30).Select(t => 1 + (i * 7 + t * 3) % 39).ToArray()).ToArray();
        Assert.NotEqual(0, BatchGenerator.PromptTokens % 29);
        Assert.True(12 * 29 > BatchGenerator.PromptTokens);
        var together = BatchGenerator.Generate(model, prompts, Seeds(12), 12);
        for (var i = 0; i < 12; i++)
        {
            var alone = BatchGenerator.Generate(model, [prompts[i]], [Seeds(12)[i]], 12)[0];
            Assert.Equal(alone.Tokens, together[i].Tokens);
            for (var t = 0; t < alone.Tokens.Length; t++) Assert.Equal(alone.LogProbabilities[t], together[i].LogProbabilities[t], 1e-5f);
        }
    }

    [Fact]
    public void Several_answers_to_one_prompt_are_those_of_equal_prompts()
    {
        int[] prompt = [5, 9, 2, 30, 11];
        var same = BatchGenerator.Generate(model, [prompt, prompt, prompt], Seeds(3), 12);
        var equal = BatchGenerator.Generate(model, [[.. prompt], [.. prompt], [.. prompt]], Seeds(3), 12);
        Assert.Equal(equal.Select(g => g.Tokens), same.Select(g => g.Tokens));
        Assert.NotEqual(same[0].Tokens, same[1].Tokens);
    }

    [Fact]
    public void Ends_at_an_end_token_at_the_limit_or_at_the_last_position()
    {
        var long1 = Enumerable.Repeat(5, 45).ToArray();
        var results = BatchGenerator.Generate(model, [long1, [7]], [1, 2], 30, endTokens: []);
        Assert.Equal(3, results[0].Tokens.Length);
        Assert.Equal(30, results[1].Tokens.Length);
        Assert.All(results, r => Assert.Equal(FinishReason.Length, r.FinishReason));
        var stopped = BatchGenerator.Generate(model, [[7]], [2], 30, endTokens: [results[1].Tokens[4]])[0];
        Assert.Equal(FinishReason.Stop, stopped.FinishReason);
        Assert.Equal(results[1].Tokens.Take(results[1].Tokens.IndexOf(results[1].Tokens[4]) + 1), stopped.Tokens);
    }

    [Fact]
    public void Impossible_requests_are_refused()
    {
        Assert.Contains("Prompt 1 is empty", Assert.Throws<ArgumentException>(() => BatchGenerator.Generate(model, [[1], []], [1, 2], 5)).Message);
        Assert.Contains("48 positions", Assert.Throws<ArgumentException>(() => BatchGenerator.Generate(model, [new int[48]], [1], 5)).Message);
        Assert.Contains("token 40", Assert.Throws<ArgumentException>(() => BatchGenerator.Generate(model, [[3, 40]], [1], 5)).Message);
        Assert.Contains("seeds", Assert.Throws<ArgumentException>(() => BatchGenerator.Generate(model, [[3]], [], 5)).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => BatchGenerator.Generate(model, [[3]], [1], 5, batchSize: 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => BatchGenerator.Generate(model, [[3]], [1], 5, new SamplingOptions(-1)));
        Assert.Throws<ArgumentOutOfRangeException>(() => BatchGenerator.Generate(model, [[3]], [1], 5, new SamplingOptions(1, 0, 0)));
        Assert.Throws<ArgumentOutOfRangeException>(() => BatchGenerator.Generate(model, [[3]], [1], 5, new SamplingOptions(RepetitionPenalty: 0.9)));
    }

    [Fact]
    public void Leaves_no_tensors_behind()
    {
        void Once() => BatchGenerator.Generate(model, Prompts(9), Seeds(9), 12, new SamplingOptions(1, 5, 0.8));
        Once();
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (var i = 0; i < 5; i++) Once();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
