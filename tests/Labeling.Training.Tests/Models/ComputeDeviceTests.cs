using System.Text.Json.Nodes;
using Labeling.Training.Data;
using Labeling.Training.Generation;
using Labeling.Training.Models;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Models;

/// <summary>What takes the place of the processor's kernels on a GPU runs on the processor too.</summary>
public sealed class ComputeDeviceTests
{
    static readonly int[][] Prompts = [[3, 1, 4, 1, 5], [9], [2, 6, 5], [3, 5, 8, 9, 7, 9, 3]];

    [Theory]
    [InlineData("gpt2")]
    [InlineData("llama")]
    [InlineData("bloom")]
    public void Left_padded_batches_continue_as_the_kernels_do(string family)
    {
        using var scope = NewDisposeScope();
        using var model = CausalLm.New(Config(family), seed: 1);
        foreach (var sampling in new[] { new SamplingOptions(0), new SamplingOptions(0.8, TopK: 20, RepetitionPenalty: 1.1) })
        {
            ulong[] seeds = [1, 2, 3, 4];
            int[] ends = [.. Enumerable.Range(0, sampling.Temperature > 0 ? 10 : 0)];
            var expected = BatchGenerator.Generate(model, Prompts, seeds, 12, sampling, ends);
            var rows = Prompts.Select((p, i) => new BatchGenerator.Row(p, seeds[i], 12)).ToList();
            using (no_grad()) PaddedGenerator.Run(model, rows, sampling, [.. ends], batchSize: 3, CancellationToken.None);
            foreach (var (row, same) in rows.Zip(expected))
            {
                Assert.Equal(same.Tokens, row.Tokens);
                Assert.Equal(same.FinishReason, row.Finished);
                foreach (var (a, b) in row.LogProbabilities.Zip(same.LogProbabilities)) Assert.Equal(b, a, 1e-4f);
            }
            if (ends.Length > 0) Assert.Contains(expected, e => e.FinishReason == FinishReason.Stop);
        }
    }

    [Fact]
    public void The_loss_by_operators_is_the_kernels()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var (kernel, targets) = (randn([6, 77], generator: generator), randint(77, [6], generator: generator));
        var operators = kernel.clone();
        var (loss, right) = CrossEntropy.Differentiate(kernel, targets, 0.5);
        var (same, rightToo) = CrossEntropy.Elsewhere(operators, targets, 0.5);
        Assert.Equal(loss, same, 1e-5);
        Assert.Equal(right, rightToo);
        Assert.True(operators.allclose(kernel, 1e-5, 1e-7));
    }

    [Theory]
    [InlineData("gpu", "cpu, cuda")]
    [InlineData("cuda:x", "cpu, cuda")]
    [InlineData("cpu:1", "cpu, cuda")]
    public void A_device_that_is_none_is_refused_by_name(string name, string offered)
    {
        var error = Assert.Throws<LibTorchException>(() => ComputeDevice.Use(name));
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.Contains(offered, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_gpu_that_is_not_there_is_refused_with_what_is_missing()
    {
        Assert.SkipWhen(cuda.is_available(), "This machine has a GPU.");
        Assert.Contains(ComputeDevice.FolderVariable, Assert.Throws<LibTorchException>(() => ComputeDevice.Use("cuda")).Message, StringComparison.Ordinal);
    }

    static ModelConfig Read(string json) => ModelConfigReader.Read(JsonNode.Parse(json)!.AsObject(), "config.json");

    static ModelConfig Config(string family) => family switch
    {
        "gpt2" => ModelConfig.Gpt2(50, 16, 2, 2, 32) with { InitializerRange = 0.3 },
        "llama" => Read("""{"model_type":"llama","vocab_size":50,"hidden_size":16,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"intermediate_size":32,"max_position_embeddings":32,"rms_norm_eps":1e-5,"eos_token_id":7,"initializer_range":0.3}"""),
        _ => Read("""{"model_type":"bloom","vocab_size":50,"hidden_size":16,"n_layer":2,"n_head":2,"eos_token_id":7,"initializer_range":0.3}"""),
    };
}
